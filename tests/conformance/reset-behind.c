/* SPDX-License-Identifier: MIT */
/* A connection was reset, and the first to be told is libc itself: dprintf, which
 * writes, and libc's threads for asynchronous input and output. */
#include <aio.h>

#include "conf.h"

#define ROUNDS 5

static volatile sig_atomic_t signalled;
static int called[2];

static void on_done(int sig, siginfo_t *info, void *ctx)
{
	(void)sig;
	(void)ctx;
	signalled = info->si_code == SI_ASYNCIO ? info->si_value.sival_int : -1;
}

static void call(union sigval value)
{
	char byte = (char)value.sival_int;

	if (write(called[1], &byte, 1) != 1)
		conf_die("call");
}

/* One end; the other is no more. */
static int was_reset(void)
{
	int a, b;

	conf_pair(&a, &b);
	conf_reset(b);
	conf_ms(5); /* whoever is to hear of it has */
	return a;
}

static struct aiocb request(int fd, int op, void *buf, size_t n)
{
	return (struct aiocb){ .aio_fildes = fd, .aio_buf = buf, .aio_nbytes = n,
			       .aio_lio_opcode = op, .aio_sigevent.sigev_notify = SIGEV_NONE };
}

static int failure(struct aiocb *cb)
{
	const struct aiocb *list[1] = { cb };
	int err;

	while ((err = aio_error(cb)) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	return aio_return(cb) == -1 ? err : 0;
}

static bool aio(int op, struct sigevent how)
{
	char buf[16] = "";
	int fd = was_reset();
	struct aiocb cb = request(fd, op, buf, sizeof(buf));
	bool good;

	cb.aio_sigevent = how;
	if ((op == LIO_READ ? aio_read(&cb) : aio_write(&cb)) < 0)
		conf_die("aio");
	good = failure(&cb) == ECONNRESET;
	if (how.sigev_notify == SIGEV_SIGNAL) {
		for (int ms = 0; !signalled && ms < 2000; ms++)
			conf_ms(1);
		good = good && signalled == 7;
		signalled = 0;
	} else if (how.sigev_notify == SIGEV_THREAD) {
		good = good && read(called[0], buf, 1) == 1 && buf[0] == 9;
	}
	return good && close(fd) == 0;
}

/* Beside one that works. */
static bool listed(void)
{
	char buf[16] = "", out[] = "good";
	int dead = was_reset(), a, b;
	struct aiocb bad = request(dead, LIO_READ, buf, sizeof(buf)), well;
	struct aiocb *list[3] = { &bad, NULL, &well };
	bool good;

	conf_pair(&a, &b);
	well = request(a, LIO_WRITE, out, 4);
	good = lio_listio(LIO_WAIT, list, 3, NULL) == -1 && errno == EIO &&
	       failure(&bad) == ECONNRESET && aio_return(&well) == 4 &&
	       bad.aio_lio_opcode == LIO_READ;
	conf_get(b, buf, 4);
	return good && close(dead) == 0 && close(a) == 0 && close(b) == 0;
}

static bool printed(void)
{
	int fd = was_reset();

	return dprintf(fd, "%s", "text") == -1 && errno == ECONNRESET && close(fd) == 0;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_done, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct sigevent by_signal = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
				      .sigev_value.sival_int = 7 };
	struct sigevent by_thread = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 9,
				      .sigev_notify_function = call };
	int told[6] = { 0 };

	sigaction(SIGUSR1, &sa, NULL);
	if (pipe(called) < 0)
		conf_die("pipe");
	for (int i = 0; i < ROUNDS; i++) {
		told[0] += printed();
		told[1] += aio(LIO_READ, none);
		told[2] += aio(LIO_WRITE, none);
		told[3] += aio(LIO_READ, by_signal);
		told[4] += aio(LIO_READ, by_thread);
		told[5] += listed();
	}
	conf_say("dprintf %d, aio_read %d, aio_write %d, by signal %d, by thread %d, in a list %d",
		 told[0], told[1], told[2], told[3], told[4], told[5]);
	return 0;
}
