/* SPDX-License-Identifier: MIT */
/*
 * What the checks of xvmc doctor share. A check looks at one thing and says
 * one sentence about it; where something is wrong, also the command that
 * mends it. Checks change nothing.
 */
#ifndef XVMC_TOOLS_DOCTOR_H
#define XVMC_TOOLS_DOCTOR_H

#include <stdbool.h>

#include "base/rundir.h"
#include "xvmc.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
	bool json;
	bool xen;
	char dir[XVMC_RUNDIR_MAX];
	int dir_rc; /* of finding it */
	int fd;     /* to xvmcd, or -errno */
	cJSON *checks;
	unsigned int warned, failed;
};

/* What gives a Xen guest more of what connections take. */
#define DOCTOR_MORE_PAGES \
	"echo 65536 | sudo tee /sys/module/xen_gntalloc/parameters/limit; " \
	"echo options xen-gntalloc limit=65536 | sudo tee /etc/modprobe.d/xvmc.conf"
#define DOCTOR_MORE_CHANNELS "max_event_channels = 4095 in this guest's xl configuration"

/* Reports one finding. mend: the command, or NULL. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *name,
		const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* doctor-system.c: the machine and the process. */
void doctor_kernel(struct doctor *d);
void doctor_memory(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_cpus(struct doctor *d);
void doctor_library(struct doctor *d);
void doctor_options(struct doctor *d);

/* doctor-xen.c */
void doctor_xen(struct doctor *d);

#endif
