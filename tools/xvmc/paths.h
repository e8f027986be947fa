/* SPDX-License-Identifier: MIT */
/*
 * Where the other parts of this xvmc lie: relative to the running tool, in
 * its build directory or where it was installed, so that a tool never picks
 * up another version's library.
 */
#ifndef XVMC_TOOLS_PATHS_H
#define XVMC_TOOLS_PATHS_H

#include <limits.h>

/* Absolute path of libxvmc.so, of xvmcd, of dom0's save helper. ret_path: PATH_MAX bytes. -ENOENT. */
int paths_library(char *ret_path);
int paths_xvmcd(char *ret_path);
int paths_save_helper(char *ret_path);

/* path as an absolute one; it need not exist. -ENAMETOOLONG, or -errno. */
int paths_absolute(const char *path, char *ret_path);

#endif
