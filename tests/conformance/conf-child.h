/* SPDX-License-Identifier: MIT */
/*
 * Children, and how they ended.
 */
#ifndef CONF_CHILD_H
#define CONF_CHILD_H

#include "conf-say.h"

/* A child that does not outlive its use, whatever happens. */
CONF_UNUSED static pid_t conf_fork(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		conf_die("fork");
	if (pid == 0)
		alarm(20);
	return pid;
}

/* How it ended. */
CONF_UNUSED static void conf_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		conf_die("waitpid");
	if (WIFSIGNALED(status))
		conf_say("child: SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		conf_say("child: %d", WEXITSTATUS(status));
}

#endif
