/* SPDX-License-Identifier: MIT */
/* An exec that fails leaves everything as it was: the child serves itself. */
#include "serve.h"

static void child(int fd)
{
	char *argv[] = { (char *)"none", NULL };

	conf_warm_server(fd);
	for (int i = 0; i < 3; i++) {
		execv("/does/not/exist", argv);
		execvp("does-not-exist", argv);
		execve("/dev/null", argv, environ);
		serve_trips(fd);
		conf_warm_server(fd);
	}
	serve_end(fd);
}

int main(void)
{
	alarm(60);
	return serve_by("wtwtwtw", child);
}
