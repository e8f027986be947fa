/* SPDX-License-Identifier: MIT */
/*
 * What /proc and xvmcd know of a call that is being held up: the module it
 * was made from, the connection behind its descriptor, and whether a library
 * has that connection. Processes may do anything meanwhile; a wrong number
 * ends in "not found".
 */
#include "trap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/reason.h"
#include "xvmc/client.h"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static FILE *proc_open(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	return fopen(path, "re");
}

/* ---- where code comes from ---- */

struct map {
	uint64_t low, high, offset;
	char path[256]; /* empty: no file */
};

/* The mapping that holds addr; -ESRCH: none, or the process is gone. */
static int map_find(pid_t pid, uint64_t addr, struct map *ret_map)
{
	FILE *f = proc_open(pid, "maps");
	char line[512];
	int rc = -ESRCH;

	if (!f)
		return -errno;
	while (rc < 0 && fgets(line, sizeof(line), f)) {
		struct map m = { 0 };

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %255[^\n]",
			   &m.low, &m.high, &m.offset, m.path) < 3 ||
		    addr < m.low || addr >= m.high)
			continue;
		*ret_map = m;
		rc = 0;
	}
	fclose(f);
	return rc;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

#define LIBS 256

struct trap_lib {
	struct {
		pid_t tid;
		dev_t dev; /* of the program it runs: an exec changes it */
		ino_t ino;
		uint64_t low, high;
	} known[LIBS];
};

struct trap_lib *trap_lib_new(void)
{
	return calloc(1, sizeof(struct trap_lib));
}

bool trap_lib_made(struct trap_lib *lib, const struct seccomp_notif *req)
{
	uint64_t ip = req->data.instruction_pointer;
	pid_t tid = (pid_t)req->pid;
	unsigned int i = (unsigned int)tid % LIBS;
	char path[32];
	struct stat st;
	struct map m;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)tid);
	if (stat(path, &st) != 0)
		return false;
	if (lib->known[i].tid == tid && lib->known[i].dev == st.st_dev &&
	    lib->known[i].ino == st.st_ino && ip >= lib->known[i].low &&
	    ip < lib->known[i].high)
		return true;
	if (map_find(tid, ip, &m) < 0 ||
	    strncmp(base_name(m.path), "libxvmc.so", 10) != 0)
		return false;
	lib->known[i].tid = tid;
	lib->known[i].dev = st.st_dev;
	lib->known[i].ino = st.st_ino;
	lib->known[i].low = m.low;
	lib->known[i].high = m.high;
	return true;
}

/* ---- which connection ---- */

struct ends {
	struct in6_addr local, remote;
	unsigned int local_port, remote_port;
};

/* The kernel prints each word of an address as a number. */
static void address(const char *hex, struct in6_addr *ret)
{
	char word[9] = "";
	uint32_t v;

	memset(ret, 0, sizeof(*ret));
	if (strlen(hex) == 8) {
		ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
		v = (uint32_t)strtoul(hex, NULL, 16);
		memcpy(ret->s6_addr + 12, &v, 4);
		return;
	}
	for (size_t i = 0; i < 4 && strlen(hex) == 32; i++) {
		memcpy(word, hex + i * 8, 8);
		v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(ret->s6_addr + i * 4, &v, 4);
	}
}

static bool in_table(pid_t pid, const char *table, unsigned long inode, struct ends *ret)
{
	FILE *f = proc_open(pid, table);
	bool found = false;
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f)) {
		char local[33], remote[33];
		unsigned long ino;
		struct ends e;

		if (sscanf(line, "%*d: %32[0-9A-F]:%x %32[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %lu",
			   local, &e.local_port, remote, &e.remote_port, &ino) != 5 ||
		    ino != inode)
			continue;
		address(local, &e.local);
		address(remote, &e.remote);
		*ret = e;
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

/* 0, with inode 0 where it is no socket; -EACCES. */
static int socket_inode(pid_t pid, int fd, unsigned long *ret_inode)
{
	char path[64], link[64] = "";

	*ret_inode = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return errno == ENOENT ? 0 : -errno; /* not open */
	if (sscanf(link, "socket:[%lu]", ret_inode) != 1)
		*ret_inode = 0;
	return 0;
}

/* ---- whose it is ---- */

#define KNOWN 256
#define KNOWN_MS 500 /* what is known of a socket stays true so long */

struct known {
	unsigned long inode; /* 0: unused */
	uint64_t until_ms;
	struct xvmc_ag_row row;
	bool registered;
};

struct trap_look {
	const char *dir;
	int agent; /* -1: none */
	struct known known[KNOWN];
};

struct trap_look *trap_look_new(const char *dir)
{
	struct trap_look *look = calloc(1, sizeof(*look));

	if (look) {
		look->dir = dir;
		look->agent = -1;
	}
	return look;
}

struct query {
	const struct ends *ends;
	struct known *known;
};

/* The library has given it away before whatever is done now. */
static bool is_past(const struct xvmc_ag_row *row)
{
	return row->tx_path == XVMC_PATH_TCP && row->rx_path == XVMC_PATH_TCP &&
	       (row->tx_reason == XVMC_R_EXEC || row->tx_reason == XVMC_R_FORK ||
		row->tx_reason == XVMC_R_FD_PASSED || row->tx_reason == XVMC_R_CLOSE ||
		row->tx_reason == XVMC_R_UNFOLLOWED);
}

static int on_row(const union client_msg *msg, void *arg)
{
	const struct xvmc_ag_row *row = &msg->row;
	struct query *q = arg;

	if (row->local.port == q->ends->local_port &&
	    row->remote.port == q->ends->remote_port &&
	    !memcmp(&row->local.ip, &q->ends->local, sizeof(row->local.ip)) &&
	    !memcmp(&row->remote.ip, &q->ends->remote, sizeof(row->remote.ip)) &&
	    !is_past(row)) {
		q->known->row = *row;
		q->known->registered = true;
	}
	return 0;
}

static int ask(struct trap_look *look, struct query *q)
{
	int rc = -ENOTCONN;

	/* Twice: xvmcd may have been restarted. */
	for (int i = 0; i < 2 && rc < 0; i++) {
		if (look->agent < 0 && client_open(look->dir, &look->agent) < 0) {
			look->agent = -1;
			return 0; /* nobody accelerates anything */
		}
		rc = client_ask(look->agent, XVMC_AG_LIST, NULL, 0, CLIENT_TIMEOUT_MS,
				XVMC_AG_ROW, on_row, q);
		if (rc < 0) {
			client_close(look->agent);
			look->agent = -1;
		}
	}
	return rc;
}

/* What is known of the socket, found out if that is too old; NULL: errno. */
static const struct known *know(struct trap_look *look, pid_t pid, unsigned long inode)
{
	struct known *k = &look->known[inode % KNOWN];
	struct ends ends;
	struct query q = { &ends, k };
	int rc = 0;

	if (k->inode == inode && now_ms() < k->until_ms)
		return k;
	*k = (struct known){ .inode = inode };
	if (in_table(pid, "net/tcp", inode, &ends) || in_table(pid, "net/tcp6", inode, &ends))
		rc = ask(look, &q);
	if (rc < 0) {
		k->inode = 0;
		errno = -rc;
		return NULL;
	}
	k->until_ms = now_ms() + KNOWN_MS;
	return k;
}

/* ---- all of it ---- */

static void describe(const struct xvmc_ag_row *row, char *buf, size_t size)
{
	static const char *const way[] = { "TCP", "ring" };
	const struct xvmc_ag_addr *end[2] = { &row->local, &row->remote };
	char text[2][INET6_ADDRSTRLEN + 8], ip[INET6_ADDRSTRLEN];

	for (int i = 0; i < 2; i++) {
		if (IN6_IS_ADDR_V4MAPPED(&end[i]->ip))
			inet_ntop(AF_INET, end[i]->ip.s6_addr + 12, ip, sizeof(ip));
		else
			inet_ntop(AF_INET6, &end[i]->ip, ip, sizeof(ip));
		snprintf(text[i], sizeof(text[i]),
			 IN6_IS_ADDR_V4MAPPED(&end[i]->ip) ? "%s:%u" : "[%s]:%u", ip,
			 end[i]->port);
	}
	snprintf(buf, size, "%s > %s (out by %s, in by %s)", text[0], text[1],
		 way[row->tx_path == XVMC_PATH_RING], way[row->rx_path == XVMC_PATH_RING]);
}

static pid_t process_of(pid_t tid)
{
	FILE *f = proc_open(tid, "status");
	char line[128];
	int pid = tid;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	if (f)
		fclose(f);
	return pid;
}

static int fill(const struct seccomp_notif *req, struct trap_where *w)
{
	uint64_t ip = req->data.instruction_pointer;
	struct map m = { 0 };
	FILE *f;

	if (map_find((pid_t)req->pid, ip, &m) < 0)
		return -ESRCH;
	snprintf(w->module, sizeof(w->module), "%.*s", (int)sizeof(w->module) - 1,
		 *m.path ? base_name(m.path) : "memory");
	w->offset = ip - m.low + m.offset;
	f = proc_open(w->pid, "comm");
	if (f && fgets(w->comm, sizeof(w->comm), f))
		w->comm[strcspn(w->comm, "\n")] = 0;
	if (f)
		fclose(f);
	return 0;
}

static bool same_process(pid_t pid, const struct known *k)
{
	return (uint32_t)pid == k->row.pid;
}

int trap_look_at(struct trap_look *look, const struct seccomp_notif *req,
		 const struct trap_call *call, struct trap_where *ret_where)
{
	const int args[2] = { call->fd_arg, call->fd_arg2 };
	struct trap_where w = { .pid = (pid_t)req->pid, .fd = -1 };
	const struct known *k = NULL;

	if (req->pid == 0) /* of a process namespace we do not see */
		return -ESRCH;
	for (int i = 0; i < 2; i++) {
		unsigned long inode;
		int fd, rc;

		if (args[i] < 0)
			continue;
		fd = (int)req->data.args[args[i]];
		rc = socket_inode(w.pid, fd, &inode);
		if (rc < 0)
			return rc;
		if (!inode)
			continue;
		k = know(look, w.pid, inode);
		if (!k)
			return -errno;
		if (k->registered) {
			w.fd = fd;
			break;
		}
		k = NULL;
	}
	if (call->fd_arg >= 0 && !k)
		return 0;
	w.pid = process_of(w.pid);
	if (k && !call->moves && !same_process(w.pid, k))
		return 0;
	if (k)
		describe(&k->row, w.conn, sizeof(w.conn));
	if (fill(req, &w) < 0)
		return -ESRCH;
	*ret_where = w;
	return 1;
}
