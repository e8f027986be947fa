/* SPDX-License-Identifier: MIT */
/*
 * xvmc doctor: why is it not accelerated? The runtime directory, xvmcd, and
 * what runs under it; what concerns the machine is in doctor-system.c.
 */
#include "doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xvmc/agent.h>

#include "base/reason.h"

static const char *const level_word[] = { "ok", "warn", "fail" };

void doctor_say(struct doctor *d, enum doctor_level level, const char *name,
		const char *mend, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->warned += level == DOCTOR_WARN;
	d->failed += level == DOCTOR_FAIL;
	if (d->json) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "check", name);
		cJSON_AddStringToObject(o, "level", level_word[level]);
		cJSON_AddStringToObject(o, "text", text);
		if (mend)
			cJSON_AddStringToObject(o, "mend", mend);
		cJSON_AddItemToArray(d->checks, o);
		return;
	}
	printf("%-4s  %-8s  %s\n", level_word[level], name, text);
	if (mend)
		printf("%16s  mend: %s\n", "", mend);
}

static void check_dir(struct doctor *d)
{
	char mend[256];
	struct stat st;
	int rc;

	if (d->dir_rc < 0) {
		doctor_say(d, DOCTOR_FAIL, "dir",
			   "export XVMC_DIR=\"$HOME/.xvmc\"",
			   "no runtime directory can be used: %s",
			   d->dir_rc == -EPERM ?
				   "the one in /tmp is another user's" :
				   strerror(-d->dir_rc));
		return;
	}
	rc = xvmc_rundir_check(d->dir);
	if (rc == -ENOENT) {
		doctor_say(d, DOCTOR_OK, "dir", NULL,
			   "%s does not exist yet; xvmcd makes it", d->dir);
		return;
	}
	if (rc == -EPERM && stat(d->dir, &st) == 0 && (st.st_mode & S_IWOTH)) {
		snprintf(mend, sizeof(mend), "chmod o-w %s", d->dir);
		doctor_say(d, DOCTOR_FAIL, "dir", mend,
			   "%s is writable for everyone", d->dir);
	} else if (rc == -EPERM) {
		doctor_say(d, DOCTOR_WARN, "dir",
			   "export XVMC_DIR=\"$HOME/.xvmc\"",
			   "%s is another user's: who owns it can read what travels by ring",
			   d->dir);
	} else if (rc < 0) {
		doctor_say(d, DOCTOR_FAIL, "dir",
			   "export XVMC_DIR=\"$HOME/.xvmc\"", "%s: %s", d->dir,
			   strerror(-rc));
	} else {
		doctor_say(d, DOCTOR_OK, "dir", NULL, "%s", d->dir);
	}
}

static void check_xvmcd(struct doctor *d)
{
	const char *mend = start_command(d->dir);

	if (d->fd >= 0) {
		doctor_say(d, DOCTOR_OK, "xvmcd", NULL, "answers in %s", d->dir);
		return;
	}
	if (d->fd == -EACCES)
		doctor_say(d, DOCTOR_FAIL, "xvmcd", "export XVMC_DIR=\"$HOME/.xvmc\"",
			   "may not be spoken to: no right to write to %s/agent.sock",
			   d->dir);
	else if (d->fd != -ENOENT && d->fd != -ECONNREFUSED)
		doctor_say(d, DOCTOR_FAIL, "xvmcd", mend, "%s (%s)",
			   client_strerror(d->fd), d->dir);
	else if (d->xen)
		doctor_say(d, DOCTOR_FAIL, "xvmcd", mend,
			   "does not run in %s: everything stays on TCP", d->dir);
	else
		doctor_say(d, DOCTOR_WARN, "xvmcd", mend,
			   "does not run in %s; xvmc-run starts one when it needs it",
			   d->dir);
}

struct domains {
	struct xvmc_ag_dom dom[XVMC_BOARD_DOMS];
	uint32_t n, procs;
};

static int note_domain(const union client_msg *msg, void *arg)
{
	struct domains *all = arg;

	if (all->n < XVMC_BOARD_DOMS) {
		all->procs += msg->dom.nprocs;
		all->dom[all->n++] = msg->dom;
	}
	return 0;
}

static void check_domains(struct doctor *d)
{
	static struct domains all;
	int rc;

	if (d->fd < 0)
		return;
	rc = client_ask(d->fd, XVMC_AG_DOMAINS, NULL, 0,
			CLIENT_TIMEOUT_MS, XVMC_AG_DOM, note_domain, &all);
	if (rc < 0)
		doctor_say(d, DOCTOR_FAIL, "domains", NULL, "%s",
			   client_strerror(rc));
	else if (!all.n)
		doctor_say(d, DOCTOR_OK, "domains", NULL,
			   "none yet; xvmc-run makes them");
	else
		doctor_say(d, DOCTOR_OK, "domains", NULL,
			   "%u, with %u processes under xvmc", all.n, all.procs);
}

struct ends {
	unsigned int n, ring, no_peer, young, scarce;
	uint8_t scarce_reason;
};

static int note_end(const union client_msg *msg, void *arg)
{
	const struct xvmc_ag_row *r = &msg->row;
	struct ends *e = arg;

	e->n++;
	if (r->tx_path == XVMC_PATH_RING || r->rx_path == XVMC_PATH_RING) {
		e->ring++;
		return 0;
	}
	switch (r->tx_reason) {
	case XVMC_R_NO_PEER:
		e->no_peer++;
		break;
	case XVMC_R_YOUNG:
		e->young++;
		break;
	case XVMC_R_NO_GRANTS:
	case XVMC_R_NO_PORTS:
	case XVMC_R_NO_FDS:
	case XVMC_R_NO_MEMORY:
	case XVMC_R_NO_THREAD:
		e->scarce++;
		e->scarce_reason = r->tx_reason;
		break;
	}
	return 0;
}

static const char *mend_scarce(const struct doctor *d, uint8_t reason)
{
	switch (reason) {
	case XVMC_R_NO_FDS:
		return "ulimit -n 65536";
	case XVMC_R_NO_GRANTS:
		return d->xen ? DOCTOR_MORE_PAGES : "xvmcd --max-grants N";
	case XVMC_R_NO_PORTS:
		return d->xen ? DOCTOR_MORE_CHANNELS : "xvmcd --max-ports N";
	default:
		return NULL;
	}
}

static void check_ends(struct doctor *d)
{
	struct ends e = { 0 };
	int rc;

	if (d->fd < 0)
		return;
	rc = client_ask(d->fd, XVMC_AG_LIST, NULL, 0,
			CLIENT_TIMEOUT_MS, XVMC_AG_ROW, note_end, &e);
	if (rc < 0) {
		doctor_say(d, DOCTOR_FAIL, "peers", NULL, "%s", client_strerror(rc));
		return;
	}
	if (e.scarce)
		doctor_say(d, DOCTOR_WARN, "peers", mend_scarce(d, e.scarce_reason),
			   "%u connections got no ring: %s", e.scarce,
			   xvmc_reason_text(e.scarce_reason));
	if (e.no_peer)
		doctor_say(d, DOCTOR_WARN, "peers",
			   "start the other program with xvmc-run too (xvmc ss shows its address)",
			   "%u of %u connections lead to a peer that is not under xvmc",
			   e.no_peer, e.n);
	if (!e.scarce && !e.no_peer)
		doctor_say(d, DOCTOR_OK, "peers", NULL,
			   "%u ends of connections, %u with a ring, %u too young for one",
			   e.n, e.ring, e.young);
}

static void summary(const char *prog, struct doctor *d)
{
	cJSON *o;

	if (!d->json) {
		printf("\n%s: %u to mend, %u to look at\n",
		       d->failed ? "not well" : "well", d->failed, d->warned);
		return;
	}
	o = cJSON_CreateObject();
	cJSON_AddBoolToObject(o, "ok", d->failed == 0);
	json_u64(o, "failed", d->failed);
	json_u64(o, "warned", d->warned);
	cJSON_AddItemToObject(o, "checks", d->checks);
	json_print(prog, o, false);
}

static void open_agent(struct doctor *d)
{
	int fd, rc = client_open(d->dir, &fd);

	d->fd = rc < 0 ? rc : fd;
}

int cmd_doctor(int argc, char **argv)
{
	struct common c = { 0 };
	const struct cli_opt opts[] = { COMMON_OPTS(&c), { 0 } };
	const struct cli cli = {
		"xvmc doctor", "",
		"Looks for what keeps programs from being accelerated and prints, for each\n"
		"problem, the command that mends it. Changes nothing. Exit status 1 if\n"
		"something has to be mended.",
		opts, 0, 0, false,
	};
	struct doctor d = { .fd = -ENOENT };
	char *args[argc + 1];

	cli_parse(&cli, argc, argv, args);
	d.json = c.json;
	d.xen = client_on_xen();
	if (d.json)
		d.checks = cJSON_CreateArray();
	d.dir_rc = client_dir(c.dir, d.dir);
	if (d.dir_rc == 0)
		open_agent(&d);
	doctor_kernel(&d);
	doctor_memory(&d);
	doctor_files(&d);
	doctor_cpus(&d);
	doctor_library(&d);
	doctor_options(&d);
	doctor_xen(&d);
	check_dir(&d);
	if (d.dir_rc == 0)
		check_xvmcd(&d);
	check_domains(&d);
	check_ends(&d);
	if (d.fd >= 0)
		client_close(d.fd);
	summary(cli.prog, &d);
	return d.failed ? CLI_EXIT_FAILED : 0;
}
