/* SPDX-License-Identifier: MIT */
/*
 * What xvmcd was told on its command line. A line it cannot make sense of
 * ends it here.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xvmcd.h"

static const char usage_text[] =
	"Usage: xvmcd [OPTION]...\n"
	"Brings the processes of co-resident domains together, and plays the\n"
	"hypervisor where there is none.\n\n"
	"  --dir DIR          runtime directory (default: as the library finds it)\n"
	"  --host NAME        host of domains that name none (default: A)\n"
	"  --daemon           go to the background when ready\n"
	"  --ready-fd N       write a newline to descriptor N when ready\n"
	"  --idle-exit SEC    end when nobody has been connected for SEC seconds\n"
	"                     (default 0: never)\n"
	"  --log FILE         log to FILE; -: to standard error (default: -, with\n"
	"                     --daemon DIR/xvmcd.log)\n"
	"  --open             serve every user, not only one's own (as root only)\n"
	"  --max-grants N     pages one domain may share (default 131072)\n"
	"  --max-ports N      event channels one domain may have (default 16384)\n"
	"  --xen              in a Xen guest: no hypervisor to play, there is one\n"
	"  --dom0             in dom0: tell the guests who is here\n"
	"  --help, --version\n";

static uint32_t number(const char *option, const char *arg, uint32_t max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (errno || end == arg || *end || *arg == '-' || n > max)
		die(2, "--%s: %s is not a number from 0 to %u", option, arg, max);
	return (uint32_t)n;
}

enum { O_DIR = 256, O_HOST, O_DAEMON, O_READY, O_IDLE, O_LOG, O_OPEN, O_GRANTS, O_PORTS, O_XEN, O_DOM0, O_HELP, O_VERSION };

static const struct option long_options[] = {
	{ "dir", required_argument, NULL, O_DIR },
	{ "host", required_argument, NULL, O_HOST },
	{ "daemon", no_argument, NULL, O_DAEMON },
	{ "ready-fd", required_argument, NULL, O_READY },
	{ "idle-exit", required_argument, NULL, O_IDLE },
	{ "log", required_argument, NULL, O_LOG },
	{ "open", no_argument, NULL, O_OPEN },
	{ "max-grants", required_argument, NULL, O_GRANTS },
	{ "max-ports", required_argument, NULL, O_PORTS },
	{ "xen", no_argument, NULL, O_XEN },
	{ "dom0", no_argument, NULL, O_DOM0 },
	{ "help", no_argument, NULL, O_HELP },
	{ "version", no_argument, NULL, O_VERSION },
	{ NULL, 0, NULL, 0 },
};

static void take_option(struct options *opt, int c)
{
	switch (c) {
	case O_DIR:
		opt->dir = optarg;
		break;
	case O_HOST: {
		char name[XVMC_NAME_MAX] = "";

		if (strlen(optarg) < sizeof(name))
			strcpy(name, optarg);
		if (!xvmc_lh_name_ok(name))
			die(2, "--host: a name has 1 to %u of A-Z a-z 0-9 _ . -", XVMC_NAME_MAX - 1);
		opt->host = optarg;
		break;
	}
	case O_DAEMON:
		opt->background = true;
		break;
	case O_READY:
		opt->ready_fd = (int)number("ready-fd", optarg, 1u << 20);
		if (fcntl(opt->ready_fd, F_GETFD) < 0)
			die(2, "--ready-fd: %d is not open", opt->ready_fd);
		break;
	case O_IDLE:
		opt->idle_exit = number("idle-exit", optarg, 1u << 30);
		break;
	case O_LOG:
		opt->log = optarg;
		break;
	case O_OPEN:
		opt->open = true;
		break;
	case O_GRANTS:
		opt->limits.max_grants = number("max-grants", optarg, 1u << 20);
		break;
	case O_PORTS:
		opt->limits.max_ports = number("max-ports", optarg, 1u << 20);
		break;
	case O_XEN:
		opt->xen = true;
		break;
	case O_DOM0:
		opt->dom0 = true;
		break;
	case O_HELP:
		fputs(usage_text, stdout);
		exit(0);
	case O_VERSION:
		puts("xvmcd " XVMC_VERSION);
		exit(0);
	default:
		exit(2); /* getopt has said why */
	}
}

void options_parse(int argc, char **argv, struct options *opt)
{
	int c;

	*opt = (struct options){ .host = "A",
				 .ready_fd = -1,
				 .limits = { .max_grants = 131072, .max_ports = 16384 } };
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		take_option(opt, c);
	if (optind < argc)
		die(2, "%s: xvmcd takes options only", argv[optind]);
	if (opt->open && geteuid() != 0)
		die(2, "--open: only root may serve every user");
	if (opt->xen && opt->dom0)
		die(2, "--xen is for a guest, --dom0 for dom0");
	if (!XVMC_HAVE_XEN && (opt->xen || opt->dom0))
		die(2, "this build has no xen backend (libxen-dev was not there)");
}
