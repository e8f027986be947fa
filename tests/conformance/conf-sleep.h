/* SPDX-License-Identifier: MIT */
/*
 * Threads that sleep in a call, what happens to them meanwhile, and signals that
 * are counted.
 */
#ifndef CONF_SLEEP_H
#define CONF_SLEEP_H

#include "conf-say.h"

/* ---- threads that sleep in a call ---- */

struct conf_sleeper {
	pthread_t thread;
	_Atomic pid_t tid;
	long (*call)(void);
	long result;
	int error;
};

CONF_UNUSED static void *conf_sleeper_main(void *arg)
{
	struct conf_sleeper *s = arg;

	s->tid = gettid();
	s->result = s->call();
	s->error = errno;
	return NULL;
}

static char conf_state(pid_t tid)
{
	char path[64], buf[512] = "", *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'X';
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = '\0';
	close(fd);
	p = strrchr(buf, ')');
	return p ? p[2] : 'X';
}

/* Waits until the thread sleeps, and goes on sleeping, in the kernel. */
CONF_UNUSED static void conf_asleep(pid_t tid)
{
	int quiet = 0;

	for (int i = 0; i < 1000 && quiet < 5; i++) {
		char state = conf_state(tid);

		if (state == 'X' || state == 'Z')
			return;
		quiet = state == 'S' ? quiet + 1 : 0;
		conf_ms(3);
	}
}

/* Has a thread make the call, and comes back when it sleeps in it. */
CONF_UNUSED static void conf_start(struct conf_sleeper *s, long (*call)(void))
{
	s->tid = 0;
	s->call = call;
	if (pthread_create(&s->thread, NULL, conf_sleeper_main, s) != 0)
		conf_die("pthread_create");
	while (!s->tid)
		conf_ms(1);
	conf_asleep(s->tid);
}

CONF_UNUSED static long conf_join(struct conf_sleeper *s, const char *what)
{
	pthread_join(s->thread, NULL);
	errno = s->error;
	return conf_res(what, s->result);
}

struct conf_later {
	pthread_t thread;
	pthread_t whom;
	_Atomic pid_t tid; /* of the thread that is about to sleep */
	int fd;
	const char *text; /* sent to fd, or: */
	int sig;          /* the signal for the thread */
};

CONF_UNUSED static void *conf_later_main(void *arg)
{
	struct conf_later *l = arg;

	conf_asleep(l->tid);
	if (l->sig)
		pthread_kill(l->whom, l->sig);
	if (l->text && l->sig)
		conf_asleep(l->tid);
	if (l->text)
		conf_put(l->fd, l->text, strlen(l->text));
	return NULL;
}

/* When the caller sleeps: a signal for it, if sig; when it sleeps (again):
 * text to fd, if any. pthread_join(l->thread) when it has come. */
CONF_UNUSED static void conf_later(struct conf_later *l, int sig, int fd, const char *text)
{
	*l = (struct conf_later){ .whom = pthread_self(), .tid = gettid(), .fd = fd, .text = text, .sig = sig };
	if (pthread_create(&l->thread, NULL, conf_later_main, l) != 0)
		conf_die("pthread_create");
}

/* ---- signals that are counted ---- */

static volatile sig_atomic_t conf_signals;

CONF_UNUSED static void conf_on_signal(int sig)
{
	(void)sig;
	conf_signals = conf_signals + 1;
}

CONF_UNUSED static void conf_count(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = conf_on_signal, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

#endif
