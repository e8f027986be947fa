/* SPDX-License-Identifier: MIT */
/*
 * The program xvmc-run is to run: where it is, and whether the library will
 * be loaded into it. ld.so skips what it cannot preload in silence or with a
 * line of its own, so this is found out before.
 */
#ifndef XVMC_RUN_TARGET_H
#define XVMC_RUN_TARGET_H

/* Exit statuses of xvmc-run beside the program's own; in xvmc-run(1). */
#define RUN_EXIT_NO_XVMCD 124
#define RUN_EXIT_NOT_LOADED 125
#define RUN_EXIT_NOT_EXECUTABLE 126
#define RUN_EXIT_NOT_FOUND 127

/*
 * Looks at the program as execvp would find it, at the interpreter of a
 * script, and at what an "env" in its first line starts. library: libxvmc.so,
 * or NULL if there is none to compare with. 0: it runs and the library
 * loads; else one of the exit statuses and a sentence in ret_why.
 */
int target_check(const char *program, const char *library, char *ret_why,
		 unsigned long why_size);

#endif
