/* SPDX-License-Identifier: MIT */
/* POSIX asynchronous reads and writes on a connection. */
#include <aio.h>

#include "conf.h"

static void done(const char *what, struct aiocb *cb)
{
	const struct aiocb *list[1] = { cb };

	while (aio_error(cb) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	conf_say("%s error %d = %ld", what, aio_error(cb), (long)aio_return(cb));
}

int main(void)
{
	char in[16] = "";
	struct aiocb rd = { .aio_buf = in, .aio_nbytes = 16 };
	struct aiocb wr = { .aio_buf = (char *)"aio write", .aio_nbytes = 9 };
	int a, b;

	conf_pair(&a, &b);
	rd.aio_fildes = b;
	wr.aio_fildes = a;
	conf_put(a, "plain ", 6);
	conf_poll(b, POLLIN, 2000);
	conf_res("aio_read", aio_read(&rd));
	done("read", &rd);
	conf_say("%s", in);
	conf_put(a, "plain ", 6);
	conf_res("aio_write", aio_write(&wr));
	done("write", &wr);
	memset(in, 0, sizeof(in));
	conf_res("recv", recv(b, in, 15, MSG_WAITALL));
	conf_say("%s", in);
	return 0;
}
