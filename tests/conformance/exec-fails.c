/* SPDX-License-Identifier: MIT */
/* exec and posix_spawn of what is not there; the connection goes on. */
#include <spawn.h>

#include "conf.h"

int main(void)
{
	char *argv[] = { (char *)"none", NULL }, *envp[] = { NULL };
	pid_t pid;
	int a, b;

	conf_pair(&a, &b);
	conf_res("execv", execv("/does/not/exist", argv));
	conf_res("execvp", execvp("does-not-exist", argv));
	conf_res("execve", execve("/dev/null", argv, envp));
	conf_res("execl", execl("/", "none", (char *)NULL));
	conf_say("posix_spawn: %s",
		 strerrorname_np(posix_spawn(&pid, "/does/not/exist", NULL, NULL, argv,
					     envp)));
	conf_trip(a, b);
	conf_say("posix_spawnp: %s",
		 strerrorname_np(posix_spawnp(&pid, "does-not-exist", NULL, NULL, argv,
					      envp)));
	conf_trip(a, b);
	return 0;
}
