/* SPDX-License-Identifier: MIT */
/* A lock on a file stays while the file is opened again and again, by the
 * lowest free number, and connections get their rings: to close any number of
 * it would give the lock up. */
#include "conf.h"

#define ROUNDS 60
#define MANY 200

static bool locked(int ask, int answer)
{
	char c = '?';

	if (write(ask, &c, 1) != 1 || read(answer, &c, 1) != 1)
		conf_die("the child");
	return c == 'y';
}

/* Another process sees locks; its own it would not. */
static void look(const char *path, int ask, int answer)
{
	int fd = open(path, O_RDWR);
	char c;

	while (fd >= 0 && read(ask, &c, 1) == 1) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		c = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK ? 'y' : 'n';
		if (write(answer, &c, 1) != 1)
			break;
	}
	_exit(0);
}

/* To close them gives the lock up, as it should be: anew. */
static void closed(const int *again, int *n, int file)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (*n)
		close(again[--*n]);
	if (fcntl(file, F_SETLK, &lock) < 0)
		conf_die("lock");
}

int main(void)
{
	char path[] = "/tmp/conf-open-lock-XXXXXX", buf[64] = "";
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int file = mkstemp(path), asks[2], answers[2], lost = 0, high = 0;
	struct sockaddr_in sa;
	int lfd;

	alarm(60);
	if (file < 0 || fcntl(file, F_SETLK, &lock) < 0 || pipe(asks) < 0 || pipe(answers) < 0)
		conf_die("lock");
	if (fork() == 0) {
		close(asks[1]);
		close(answers[0]);
		look(path, asks[0], answers[1]);
	}
	close(asks[0]);
	close(answers[1]);
	lfd = conf_listen(&sa);
	for (int i = 0; i < ROUNDS; i++) {
		int a = conf_connect(&sa), b = accept(lfd, NULL, NULL), again[MANY], n = 0;
		int lowest;
		double start = conf_now();

		/* Worth a ring by now: it comes while the file is opened. */
		for (int trip = 0; trip < CONF_WARM_TRIPS; trip++) {
			conf_put(a, buf, sizeof(buf));
			conf_get(b, buf, sizeof(buf));
			conf_put(b, buf, sizeof(buf));
			conf_get(a, buf, sizeof(buf));
		}
		while (!conf_on_ring(a) && conf_now() - start < 0.02) {
			if (n == MANY)
				closed(again, &n, file);
			lowest = dup(STDIN_FILENO);
			close(lowest);
			again[n] = open(path, O_RDWR);
			high += again[n++] != lowest;
		}
		if (!locked(asks[1], answers[0]))
			lost++;
		closed(again, &n, file);
		conf_put(a, buf, sizeof(buf));
		conf_get(b, buf, sizeof(buf));
		close(a);
		close(b);
	}
	conf_say("lost: %s, not the lowest: %s", lost ? "some" : "none", high ? "some" : "none");
	unlink(path);
	return 0;
}
