/* SPDX-License-Identifier: MIT */
/*
 * Will the library load? Follows what the kernel and ld.so do, without
 * running anything: PATH, "#!" lines, ELF headers, privilege bits.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "elf.h"

/* The kernel follows as many "#!" lines. */
#define SCRIPT_DEPTH 5
/* ... and reads so much of each. */
#define SCRIPT_LINE 256

struct look {
	const char *library;
	char *why;
	size_t size;
};

static int because(const struct look *l, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int because(const struct look *l, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->why, l->size, fmt, ap);
	va_end(ap);
	return status;
}

/* 0, or -errno why path cannot be executed. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return access(path, X_OK) == 0 ? 0 : -errno;
}

/* As execvp: a name without a slash is looked up in PATH, and one that is
 * there but may not be executed counts only if there is no other. */
static int find(const struct look *l, const char *name, char *ret_path)
{
	const char *dirs = getenv("PATH"), *end;
	int rc = -ENOENT, one;

	if (strchr(name, '/')) {
		snprintf(ret_path, PATH_MAX, "%s", name);
		rc = executable(name);
		goto out;
	}
	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (; *name; dirs = end + 1) {
		end = strchrnul(dirs, ':');
		one = snprintf(ret_path, PATH_MAX, "%.*s%s%s",
			       (int)(end - dirs), dirs, end > dirs ? "/" : "",
			       name);
		if (one > 0 && one < PATH_MAX) {
			one = executable(ret_path);
			if (one == 0)
				return 0;
			if (one != -ENOENT && one != -ENOTDIR && rc == -ENOENT)
				rc = one;
		}
		if (!*end)
			break;
	}
	snprintf(ret_path, PATH_MAX, "%s", name);
out:
	if (rc == 0)
		return 0;
	if (rc == -ENOENT || rc == -ENOTDIR)
		return because(l, RUN_EXIT_NOT_FOUND, "%s: not found", name);
	return because(l, RUN_EXIT_NOT_EXECUTABLE, "%s: not executable: %s", name,
		       strerror(-rc));
}

/* Does exec give it rights we do not have? ld.so then ignores LD_PRELOAD. */
static const char *gains(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) != 0)
		return NULL;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return NULL;
	if (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID))
		return NULL;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return "set-user-ID";
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
	    st.st_gid != getgid())
		return "set-group-ID";
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "with file capabilities";
	return NULL;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int check_elf(const struct look *l, const char *path,
		     const struct elf_info *e)
{
	struct elf_info lib, self;
	const char *how = gains(path);

	if (how)
		return because(l, RUN_EXIT_NOT_LOADED,
			       "%s is %s: the system preloads nothing into it",
			       path, how);
	if (e->foreign || (l->library && elf_read(l->library, &lib) == 0 &&
			   e->machine != lib.machine))
		return because(l, RUN_EXIT_NOT_LOADED,
			       "%s is for another kind of machine than libxvmc.so",
			       path);
	if (e->go)
		return because(l, RUN_EXIT_NOT_LOADED,
			       "%s is a Go program: it calls the kernel itself, no library sees its sockets",
			       path);
	if (!e->has_interp)
		return because(l, RUN_EXIT_NOT_LOADED,
			       "%s is statically linked: nothing can be preloaded into it",
			       path);
	if (elf_read("/proc/self/exe", &self) == 0 && self.interp[0] &&
	    e->interp[0] && strcmp(base(self.interp), base(e->interp)) != 0)
		return because(l, RUN_EXIT_NOT_LOADED,
			       "%s uses another C library (%s) than libxvmc.so",
			       path, base(e->interp));
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word at *s, ended with NUL; NULL if there is none. */
static char *word(char **s)
{
	char *w = *s, *end;

	while (is_blank(*w))
		w++;
	if (!*w)
		return NULL;
	for (end = w; *end && !is_blank(*end); end++)
		;
	*s = *end ? end + 1 : end;
	*end = 0;
	return w;
}

/* The program an env line starts: "env python3", "env -S A=1 python3 -u". */
static char *env_program(char *args)
{
	char *w;

	while ((w = word(&args))) {
		if (!strcmp(w, "-u") || !strcmp(w, "-C")) {
			word(&args); /* a variable, a directory */
			continue;
		}
		if (!strncmp(w, "-S", 2) && w[2])
			return w + 2;
		if (!strncmp(w, "--split-string=", 15) && w[15])
			return w + 15;
		if (*w != '-' && !strchr(w, '='))
			return w;
	}
	return NULL;
}

/* The first line without "#!" and line end. -ENOEXEC: no script. */
static int script_line(const char *path, char *ret_line)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret_line, SCRIPT_LINE - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	ret_line[n] = 0;
	if (strncmp(ret_line, "#!", 2) != 0)
		return -ENOEXEC;
	ret_line[strcspn(ret_line, "\n")] = 0;
	memmove(ret_line, ret_line + 2, strlen(ret_line + 2) + 1);
	return 0;
}

static int check_path(const struct look *l, const char *path, int depth);

static int check_script(const struct look *l, const char *path, char *line,
			int depth)
{
	char *interp = word(&line), *started;
	char found[PATH_MAX];
	int rc;

	if (!interp)
		return because(l, RUN_EXIT_NOT_EXECUTABLE,
			       "%s: its first line names no interpreter", path);
	rc = executable(interp);
	if (rc < 0)
		return because(l, RUN_EXIT_NOT_EXECUTABLE,
			       "%s: its interpreter %s: %s", path, interp,
			       strerror(-rc));
	rc = check_path(l, interp, depth + 1);
	if (rc || strcmp(base(interp), "env") != 0)
		return rc;
	/* What env does not find, it says itself. */
	started = env_program(line);
	if (!started || find(l, started, found) != 0)
		return 0;
	return check_path(l, found, depth + 1);
}

static int check_path(const struct look *l, const char *path, int depth)
{
	char line[SCRIPT_LINE];
	struct elf_info e;
	int rc;

	if (depth >= SCRIPT_DEPTH)
		return because(l, RUN_EXIT_NOT_EXECUTABLE,
			       "%s: too many interpreters of interpreters", path);
	rc = elf_read(path, &e);
	if (rc == 0)
		return check_elf(l, path, &e);
	if (rc != -ENOEXEC) /* may be executed but not read: let it try */
		return 0;
	rc = script_line(path, line);
	if (rc == 0)
		return check_script(l, path, line, depth);
	/* Neither: execvp gives it to the shell. */
	return check_path(l, "/bin/sh", depth + 1);
}

int target_check(const char *program, const char *library, char *ret_why,
		 unsigned long why_size)
{
	const struct look l = { library, ret_why, why_size };
	char path[PATH_MAX];
	int rc;

	rc = find(&l, program, path);
	return rc ? rc : check_path(&l, path, 0);
}
