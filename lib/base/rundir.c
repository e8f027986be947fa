/* SPDX-License-Identifier: MIT */
/*
 * Finding the runtime directory. Everything goes through os.h, because in
 * the library the usual names are our own wrappers.
 */
#include "rundir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os.h"

#define SYSTEM_DIR "/run/xvmc"

static int may(const char *path, int mode)
{
	return (int)OS3(SYS_faccessat, AT_FDCWD, path, mode);
}

static int dir_stat(const char *path, struct stat *ret_st, int flags)
{
	return (int)OS4(SYS_newfstatat, AT_FDCWD, path, ret_st, flags);
}

/* An xvmcd's socket that we may speak to, or a place to start one. A user
 * without rights there gets an xvmcd of his own. */
static int system_dir_usable(void)
{
	int rc = may(SYSTEM_DIR "/agent.sock", W_OK);

	if (rc == 0)
		return 1;
	rc = may(SYSTEM_DIR, W_OK | X_OK);
	if (rc == -ENOENT)
		rc = may("/run", W_OK | X_OK);
	return rc == 0;
}

static int put(char *ret_dir, const char *dir, const char *name)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n + strlen(name) >= XVMC_RUNDIR_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_dir, dir, n);
	memcpy(ret_dir + n, name, strlen(name) + 1);
	return 0;
}

int xvmc_rundir(char *ret_dir)
{
	char tmp[32];
	const char *dir;
	int rc;

	dir = secure_getenv("XVMC_DIR");
	if (dir && *dir)
		return put(ret_dir, dir, "");
	if (system_dir_usable())
		return put(ret_dir, SYSTEM_DIR, "");
	dir = secure_getenv("XDG_RUNTIME_DIR");
	if (dir && *dir == '/')
		return put(ret_dir, dir, "/xvmc");
	/* Anyone may have made this one: trust it only if it is ours. */
	snprintf(tmp, sizeof(tmp), "/tmp/xvmc-%u", (unsigned int)OS0(SYS_geteuid));
	rc = xvmc_rundir_check(tmp);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	return put(ret_dir, tmp, "");
}

int xvmc_rundir_check(const char *dir)
{
	uid_t self = (uid_t)OS0(SYS_geteuid);
	struct stat st;
	int rc;

	rc = dir_stat(dir, &st, AT_SYMLINK_NOFOLLOW);
	if (rc < 0)
		return rc;
	if (S_ISLNK(st.st_mode)) {
		if (st.st_uid != self && st.st_uid != 0)
			return -EPERM;
		rc = dir_stat(dir, &st, 0);
		if (rc < 0)
			return rc;
	}
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != self && st.st_uid != 0)
		return -EPERM;
	if (st.st_mode & S_IWOTH)
		return -EPERM;
	return 0;
}

int xvmc_rundir_check_server(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int rc = os_getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len);

	if (rc < 0)
		return rc;
	return cred.uid == 0 || cred.uid == (uid_t)OS0(SYS_geteuid) ? 0 : -EACCES;
}

int xvmc_rundir_make(const char *dir)
{
	int rc = (int)OS3(SYS_mkdirat, AT_FDCWD, dir, 0700);

	return rc == -EEXIST ? xvmc_rundir_check(dir) : rc;
}
