/* SPDX-License-Identifier: MIT */
/*
 * The runtime directory, where a guest's xvmcd listens: one rule for the
 * library, xvmcd and the tools, so that they meet without being configured.
 * It finds the directory and says whether it is safe; only xvmcd and
 * xvmc-run make it.
 *
 * Threads and fork: no state. No memory is allocated, no wrapped call is
 * used, errno stays as it is: legal in the library's first moments. Programs
 * that gain privileges on exec see no variable of the environment.
 */
#ifndef XVMC_RUNDIR_H
#define XVMC_RUNDIR_H

#include <stddef.h>
#include <sys/un.h>

/* A directory whose sockets fit into sockaddr_un, with the NUL. */
#define XVMC_RUNDIR_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 12)

/*
 * Writes the directory's path into ret_dir (XVMC_RUNDIR_MAX bytes), whether
 * it exists or not: $XVMC_DIR; /run/xvmc where an xvmcd may be spoken to or
 * started; $XDG_RUNTIME_DIR/xvmc; /tmp/xvmc-UID.
 * -ENAMETOOLONG: a socket in it would not fit into an address.
 * -EPERM: what is there could be another user's trap (xvmc_rundir_check).
 */
int xvmc_rundir(char *ret_dir);

/*
 * 0: a directory of ours or of root's; -ENOENT: nothing there; -ENOTDIR;
 * -EPERM: another user's directory or symbolic link, or one writable for
 * everyone: whoever answers there could hand us any memory.
 */
int xvmc_rundir_check(const char *dir);

/* Who listens at the other end of sock, which is connected to a name in there:
 * 0: our own user, or root; -EACCES: somebody else; another -errno. */
int xvmc_rundir_check_server(int sock);

/* Makes the directory, mode 0700, where it is missing. 0 or -errno. */
int xvmc_rundir_make(const char *dir);

#endif
