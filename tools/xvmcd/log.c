/* SPDX-License-Identifier: MIT */
/*
 * The log: one line an event, with the time. And what is said where there is
 * no log yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xvmcd.h"

#define LOG_MAX (64l << 20)

static FILE *out; /* NULL: nowhere */
static long written;

int log_open(const char *path)
{
	if (!path)
		return 0;
	if (strcmp(path, "-") == 0) {
		out = stderr;
		return 0;
	}
	out = fopen(path, "ae");
	if (!out)
		return -errno;
	setvbuf(out, NULL, _IOLBF, 0);
	return 0;
}

void log_line(const char *fmt, ...)
{
	struct timespec ts;
	char when[32];
	struct tm tm;
	va_list ap;

	if (!out)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&ts.tv_sec, &tm));
	written += fprintf(out, "%s.%03ld ", when, ts.tv_nsec / 1000000);
	va_start(ap, fmt);
	written += vfprintf(out, fmt, ap);
	va_end(ap);
	fputc('\n', out);
	/* A soak of migrations must not fill a disk. */
	if (written > LOG_MAX && out != stderr) {
		fputs("the log is full\n", out);
		fclose(out);
		out = NULL;
	}
}

void die(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("xvmcd: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(status);
}
