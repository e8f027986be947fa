/* SPDX-License-Identifier: MIT */
/*
 * xvmc doctor's checks of the machine: kernel, memory, descriptors, CPUs,
 * the library, the options. Where a feature can be tried, it is tried,
 * not concluded from a version.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/options.h"
#include "base/os.h"
#include "doctor.h"
#include "paths.h"

/* Two rings of the largest size and their pages. */
#define PROBE_BYTES (2u << 20)
#define FILES_FEW 1024u

void doctor_kernel(struct doctor *d)
{
	struct utsname u;
	unsigned int major = 0, minor = 0;

	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	if (major < 5 || (major == 5 && minor < 14))
		doctor_say(d, DOCTOR_WARN, "kernel", NULL,
			   "Linux %s is older than what xvmc is for (5.14)",
			   u.release);
	else
		doctor_say(d, DOCTOR_OK, "kernel", NULL, "Linux %s %s", u.release,
			   u.machine);
}

/* 0, or what failed. */
static const char *try_memfd(void)
{
	int fd = memfd_create("xvmc-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *failed = NULL;

	if (fd < 0)
		return "memfd_create";
	if (ftruncate(fd, PROBE_BYTES) != 0 || fallocate(fd, 0, 0, PROBE_BYTES) != 0)
		failed = "shared memory";
	else if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
						F_SEAL_SEAL) != 0)
		failed = "sealing";
	if (failed) {
		int keep = errno;

		close(fd);
		errno = keep;
		return failed;
	}
	close(fd);
	return NULL;
}

void doctor_memory(struct doctor *d)
{
	const char *failed = try_memfd();
	struct statvfs fs;

	if (failed)
		doctor_say(d, DOCTOR_FAIL, "memory",
			   errno == ENOSPC || errno == ENOMEM ?
				   "raise the memory limit of this session or container" :
				   NULL,
			   "%s: %s", failed, strerror(errno));
	else
		doctor_say(d, DOCTOR_OK, "memory", NULL,
			   "sealed shared memory can be had");
	if (statvfs("/dev/shm", &fs) != 0)
		doctor_say(d, DOCTOR_WARN, "shm", "mount -t tmpfs tmpfs /dev/shm",
			   "/dev/shm: %s", strerror(errno));
	else if ((unsigned long long)fs.f_bavail * fs.f_frsize < PROBE_BYTES)
		doctor_say(d, DOCTOR_WARN, "shm", "df -h /dev/shm; ls -l /dev/shm",
			   "/dev/shm is full");
	else
		doctor_say(d, DOCTOR_OK, "shm", NULL, "/dev/shm has %s free",
			   text_bytes((uint64_t)fs.f_bavail * fs.f_frsize, false));
}

void doctor_files(struct doctor *d)
{
	struct rlimit lim;
	char mend[64];

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur >= FILES_FEW) {
		doctor_say(d, DOCTOR_OK, "files", NULL,
			   "%llu descriptors a process",
			   (unsigned long long)lim.rlim_cur);
		return;
	}
	if (lim.rlim_max >= FILES_FEW)
		snprintf(mend, sizeof(mend), "ulimit -n %llu",
			 lim.rlim_max > 65536 ? 65536ull :
						(unsigned long long)lim.rlim_max);
	else
		snprintf(mend, sizeof(mend), "sudo prlimit --pid $$ --nofile=65536");
	doctor_say(d, DOCTOR_WARN, "files", mend,
		   "only %llu descriptors a process; a connection on rings takes seven",
		   (unsigned long long)lim.rlim_cur);
}

void doctor_cpus(struct doctor *d)
{
	int n = xvmc_os_ncpu();

	if (n == 1 && d->xen)
		doctor_say(d, DOCTOR_OK, "cpus", NULL,
			   "one: a reader may give way to others a little before it sleeps");
	else if (n == 1)
		doctor_say(d, DOCTOR_WARN, "cpus", "taskset -p -c $$",
			   "one CPU: rings do not spin unless XVMC_SPIN_US is set; small messages gain less");
	else
		doctor_say(d, DOCTOR_OK, "cpus", NULL,
			   "%d: a reader may spin before it sleeps", n);
}

/* ld.so's complaint when it preloads the library, or "". */
static void try_preload(const char *library, char *ret_line, size_t size)
{
	int err[2], status;
	ssize_t n;
	pid_t pid;

	*ret_line = 0;
	if (pipe2(err, O_CLOEXEC) != 0)
		return;
	pid = fork();
	if (pid == 0) {
		dup2(err[1], 2);
		setenv("LD_PRELOAD", library, 1);
		execl("/bin/true", "true", (char *)NULL);
		_exit(0);
	}
	close(err[1]);
	n = read(err[0], ret_line, size - 1);
	close(err[0]);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	ret_line[n > 0 ? n : 0] = 0;
	ret_line[strcspn(ret_line, "\n")] = 0;
}

void doctor_library(struct doctor *d)
{
	char path[PATH_MAX], line[400];

	if (paths_library(path) < 0) {
		doctor_say(d, DOCTOR_FAIL, "library", "ninja -C build install",
			   "libxvmc.so is neither beside this tool nor installed");
		return;
	}
	if (strpbrk(path, " :;")) {
		doctor_say(d, DOCTOR_WARN, "library", NULL,
			   "%s has a space or colon in its name: only xvmc-run can preload it", path);
		return;
	}
	try_preload(path, line, sizeof(line));
	if (*line)
		doctor_say(d, DOCTOR_FAIL, "library", "ninja -C build", "%s", line);
	else
		doctor_say(d, DOCTOR_OK, "library", NULL, "%s loads", path);
}

void doctor_options(struct doctor *d)
{
	struct xvmc_options opt;
	int bad = xvmc_options_load(&opt);

	if (bad)
		doctor_say(d, DOCTOR_WARN, "options", "env | grep ^XVMC_",
			   "%d XVMC_ variables are out of range and ignored (see xvmc-environment(7))",
			   bad);
	else if (!opt.enable)
		doctor_say(d, DOCTOR_WARN, "options", "unset XVMC_ENABLE",
			   "XVMC_ENABLE=0: the library does nothing");
	else
		doctor_say(d, DOCTOR_OK, "options", NULL, "in range");
}
