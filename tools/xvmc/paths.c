/* SPDX-License-Identifier: MIT */
/*
 * Finding the other parts of xvmc. XVMC_PREFIX, XVMC_LIBDIR, XVMC_SBINDIR and
 * XVMC_LIBEXECDIR are what the build was configured with; all but the first
 * may be relative to it.
 */
#include "paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory the running program lies in, without a final slash. */
static int own_dir(char *ret_dir)
{
	ssize_t n = readlink("/proc/self/exe", ret_dir, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	ret_dir[n] = 0;
	slash = strrchr(ret_dir, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	return 0;
}

static int find(const char *const *where, const char *name, char *ret_path)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct stat st;
	int rc;

	rc = own_dir(dir);
	if (rc < 0)
		return rc;
	for (; *where; where++) {
		if (**where == '/')
			rc = snprintf(path, sizeof(path), "%s/%s", *where, name);
		else
			rc = snprintf(path, sizeof(path), "%s/%s/%s", dir,
				      *where, name);
		if (rc < 0 || (size_t)rc >= sizeof(path))
			continue;
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    realpath(path, ret_path))
			return 0;
	}
	return -ENOENT;
}

int paths_library(char *ret_path)
{
	static const char *const where[] = {
		"../preload", /* the build directory */
		"../" XVMC_LIBDIR,
		"../lib",
		XVMC_PREFIX "/" XVMC_LIBDIR,
		NULL,
	};

	return find(where, "libxvmc.so", ret_path);
}

int paths_xvmcd(char *ret_path)
{
	static const char *const where[] = {
		"xvmcd", /* the build directory */
		"../" XVMC_SBINDIR,
		".",
		XVMC_PREFIX "/" XVMC_SBINDIR,
		NULL,
	};

	return find(where, "xvmcd", ret_path);
}

int paths_save_helper(char *ret_path)
{
	static const char *const where[] = {
		"toolstack", /* the build directory */
		"../" XVMC_LIBEXECDIR "/xvmc",
		"../libexec/xvmc",
		".",
		XVMC_PREFIX "/" XVMC_LIBEXECDIR "/xvmc",
		NULL,
	};

	return find(where, "xvmc-save-helper", ret_path);
}

int paths_absolute(const char *path, char *ret_path)
{
	char cwd[PATH_MAX];
	int n;

	if (*path == '/') {
		n = snprintf(ret_path, PATH_MAX, "%s", path);
	} else {
		if (!getcwd(cwd, sizeof(cwd)))
			return -errno;
		n = snprintf(ret_path, PATH_MAX, "%s/%s", cwd, path);
	}
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}
