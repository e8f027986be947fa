/* SPDX-License-Identifier: MIT */
/*
 * Connections that cross an exec, when they are on plain TCP already.
 *
 * The old program leaves a **note**, in memory whose descriptor the new one
 * inherits: which connections they are, by the kernel's own names for them, what
 * has been moved on each, and where its hold lies. The new program is the old one
 * as far as others are concerned: it is counted as one that has the connection
 * open, and the hold that was taken before the exec is its own to give back.
 *
 * That is right only if no program was in between. One without the library hands
 * the note on like any descriptor, and the connection with it; and may have a
 * child that uses the connection. So the new program must show that it was
 * executed by the very one that wrote the note. The kernel tells a program by
 * which path it was executed (AT_EXECFN). We have it go by /proc/self/fd/N/name,
 * where N leads to the file's directory and is closed by the same exec: whoever
 * comes by that path was executed by a program that had this N. The note says
 * which path, and which process: an exec keeps the pid.
 *
 * A hold that no program takes up is never given back: all stay on TCP.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arena.h"
#include "exec.h"

/* Another version of the library may read it, which says another number here. */
#define NOTE_MAGIC UINT64_C(0x325f636578655f78)
#define NOTE_NAME "xvmc-exec"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

struct note_conn {
	uint64_t cookie; /* the kernel's name for the socket */
	uint64_t size;   /* of the arena */
	int32_t mem_fd, bell_fd; /* of the arena; mem_fd -1: there is no hold */
	uint32_t index;  /* in the arena */
	uint8_t active, shut, pad[2];
	struct hold_sums sums;
};

struct exec_note {
	uint64_t magic;
	uint32_t pid;
	uint32_t n, room;
	_Atomic uint32_t stale; /* written by who has forked meanwhile, or the like */
	char by[EXEC_BY_MAX];     /* how the program is executed ... */
	char path[EXEC_PATH_MAX]; /* ... and how it was meant to be */
	struct note_conn conn[];
};

static size_t note_size(uint32_t n)
{
	return sizeof(struct exec_note) + n * sizeof(struct note_conn);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return os_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static void set_cloexec(int fd, bool on)
{
	if (fd >= 0)
		os_fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

/* ---- /proc/self/fd ---- */

/* What /proc/self/fd says of each number; to be gone through more than once. */
struct fd_list {
	int dir;
	char buf[4096];
	long have, at;
};

struct fd_entry {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static bool list_open(struct fd_list *list)
{
	list->dir = OS_MAKE(OS4(SYS_openat, AT_FDCWD, "/proc/self/fd",
				O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
	return list->dir >= 0;
}

static void list_begin(struct fd_list *list)
{
	list->have = list->at = 0;
	OS3(SYS_lseek, list->dir, 0, SEEK_SET);
}

/* The next number and what it is, or -1 at the end. */
static int list_next(struct fd_list *list, char *ret_what, size_t n)
{
	for (;;) {
		struct fd_entry *e;
		long r;

		if (list->at >= list->have) {
			list->at = 0;
			list->have = OS3(SYS_getdents64, list->dir, list->buf,
					 sizeof(list->buf));
			if (list->have <= 0)
				return -1;
		}
		e = (struct fd_entry *)(void *)(list->buf + list->at);
		list->at += e->len;
		r = e->name[0] == '.' ? 0 : OS4(SYS_readlinkat, list->dir, e->name,
						ret_what, n - 1);
		if (r <= 0)
			continue;
		ret_what[r] = '\0';
		return atoi(e->name);
	}
}

static bool is_note(const char *what)
{
	return strcmp(what, "/memfd:" NOTE_NAME " (deleted)") == 0;
}

/* ---- the old program ---- */

/* The connection in short; false: it is not one to go on with. The locks are
 * those that a thread holds who moves bytes just now: then it is not. */
static bool describe(struct xvmc_endpoint *ep, int fd, struct note_conn *ret)
{
	struct conn_t *c = &ep->conn;
	struct hold_arena *arena = ep->hold_arena;
	bool fit;

	if (section_trylock(&c->tx.lock) != 0)
		return false;
	fit = section_trylock(&c->rx.lock) == 0;
	if (fit) {
		*ret = (struct note_conn){
			.cookie = cookie_of(fd),
			.mem_fd = arena ? arena->mem_fd : -1,
			.bell_fd = arena ? arena->bell_fd : -1,
			.size = arena ? arena->size : 0,
			.index = arena ? (uint32_t)(ep->hold - arena->holds) : 0,
			.active = ep->active,
			.shut = c->tx.shut,
		};
		fork_sums(c, &ret->sums);
		/* Pinned for now: for good it would have another reason. */
		fit = ep->state == XVMC_EP_PINNED && ep->reason == XVMC_R_FORK &&
		      !ep->spoilt && !xvmc_ep_lacks(ep) && !ep->owned &&
		      !xvmc_ep_managed(ep) && !c->tx.err && !c->rx.err &&
		      ret->cookie && (arena ? arena->mem_fd >= 0 && ep->counted :
					      !ep->forked);
		section_unlock(&c->rx.lock);
	}
	section_unlock(&c->tx.lock);
	return fit;
}

static bool written(const struct exec_note *note, uint64_t cookie)
{
	for (uint32_t i = 0; i < note->n; i++)
		if (note->conn[i].cookie == cookie)
			return true;
	return false;
}

/* How many numbers lead to connections across an exec, and those that fit, in
 * a note with room for them. */
static uint32_t each_crossing(struct xvmc_ctx *ctx, struct exec_note *note)
{
	uint32_t n = 0;

	for (int fd = 0; fd < 65536; fd++) {
		struct xvmc_endpoint *ep =
			xvmc_fd_peek(ctx, fd) ? xvmc_ep_get(ctx, fd) : NULL;
		struct note_conn conn;

		if (!ep)
			continue;
		if (os_fcntl(fd, F_GETFD, 0) == 0) {
			n++;
			if (note && note->n < note->room && describe(ep, fd, &conn) &&
			    !written(note, conn.cookie))
				note->conn[note->n++] = conn;
		}
		xvmc_ep_put(ep);
	}
	return n;
}

static struct exec_note *map_note(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void arenas_cross(const struct exec_note *note, bool on)
{
	for (uint32_t i = 0; i < note->n; i++) {
		set_cloexec(note->conn[i].mem_fd, !on);
		set_cloexec(note->conn[i].bell_fd, !on);
	}
}

void xvmc_sock_exec_unnote(struct xvmc_ctx *ctx)
{
	struct exec_note *note = ctx->note;
	int fd = ctx->note_fd;

	arenas_cross(note, false);
	section_lock(&ctx->lock);
	ctx->note = NULL;
	section_unlock(&ctx->lock);
	munmap(note, note_size(note->room));
	os_close(fd);
}

/* A note of another time, which a program without the library has handed on, may
 * name the same path and the same process: there shall be one. */
static bool clear_others(int mine)
{
	struct fd_list list;
	char what[64];
	int fd;

	if (!list_open(&list))
		return false;
	list_begin(&list);
	while ((fd = list_next(&list, what, sizeof(what))) >= 0)
		if (fd != mine && is_note(what))
			os_close(fd);
	os_close(list.dir);
	return true;
}

/* Room for a note on n connections, and the only one in this process. */
static struct exec_note *note_begin(struct xvmc_ctx *ctx, uint32_t n, int *ret_fd)
{
	struct exec_note *note = NULL;
	int fd = OS_MAKE(os_memfd(NOTE_NAME, MFD_CLOEXEC));

	if (fd < 0)
		return NULL;
	if (OS2(SYS_ftruncate, fd, note_size(n)) == 0)
		note = map_note(fd, note_size(n));
	if (note)
		note->room = n;
	section_lock(&ctx->lock);
	if (note && !ctx->note) {
		/* From now on a fork is seen; one before has given holds. */
		ctx->note = note;
		ctx->note_fd = *ret_fd = fd;
		section_unlock(&ctx->lock);
		if (clear_others(fd))
			return note;
		xvmc_sock_exec_unnote(ctx);
		return NULL;
	}
	section_unlock(&ctx->lock);
	if (note)
		munmap(note, note_size(n));
	os_close(fd);
	return NULL;
}

int xvmc_sock_exec_note(struct xvmc_ctx *ctx, const char *by, const char *path)
{
	uint32_t room = each_crossing(ctx, NULL);
	struct exec_note *note = NULL;
	int fd = -1;

	if (!room || strlen(by) >= EXEC_BY_MAX || strlen(path) >= EXEC_PATH_MAX)
		return -ENOENT;
	note = note_begin(ctx, room, &fd);
	if (!note)
		return -ENOMEM;
	note->magic = NOTE_MAGIC;
	note->pid = (uint32_t)os_getpid();
	memcpy(note->by, by, strlen(by));
	memcpy(note->path, path, strlen(path));
	each_crossing(ctx, note);
	arenas_cross(note, true);
	set_cloexec(fd, false);
	return 0;
}

void exec_note_stale(struct xvmc_ctx *ctx)
{
	if (ctx->note)
		atomic_store(&ctx->note->stale, 1);
}

void exec_note_forget(struct xvmc_ctx *ctx)
{
	if (!ctx->note)
		return;
	munmap(ctx->note, note_size(ctx->note->room));
	ctx->note = NULL;
	os_close(ctx->note_fd);
}

/* ---- the new program ---- */

/* A copy of the note behind fd, if it is one for the program that this process
 * executes by that path; or NULL. */
static struct exec_note *read_note(int fd, const char *by)
{
	struct exec_note *note = NULL;
	struct stat st;

	if (OS2(SYS_fstat, fd, &st) == 0 && st.st_size >= (off_t)sizeof(*note))
		note = malloc((size_t)st.st_size);
	if (note && os_pread(fd, note, (size_t)st.st_size, 0) == st.st_size &&
	    note->magic == NOTE_MAGIC && note->pid == (uint32_t)os_getpid() &&
	    note_size(note->n) <= (size_t)st.st_size &&
	    strncmp(note->by, by, EXEC_BY_MAX) == 0)
		return note;
	free(note);
	return NULL;
}

static struct exec_note *find_note(struct fd_list *list, const char *by, int *ret_fd)
{
	char what[64];
	int fd;

	list_begin(list);
	while ((fd = list_next(list, what, sizeof(what))) >= 0) {
		struct exec_note *note = NULL;

		if (is_note(what))
			note = read_note(fd, by);
		if (note) {
			*ret_fd = fd;
			return note;
		}
	}
	return NULL;
}

/* Somebody waits for descriptors by means that came with them, and that the
 * library has not seen made: no ring would wake it. */
static bool waits_unseen(struct fd_list *list)
{
	char what[64];

	list_begin(list);
	while (list_next(list, what, sizeof(what)) >= 0)
		if (strcmp(what, "anon_inode:[eventpoll]") == 0 ||
		    strcmp(what, "anon_inode:[io_uring]") == 0)
			return true;
	return false;
}

/* A descriptor of the old library's, at a number of the new one's. */
static int take_fd(int fd)
{
	return fd < 0 ? -1 : xvmc_numbers_dup(fd);
}

/* The note is the old program's word; what it says of memory is looked at. */
static bool is_arena(int mem_fd, const struct note_conn *conn)
{
	struct stat st;

	return OS2(SYS_fstat, mem_fd, &st) == 0 && (uint64_t)st.st_size >= conn->size &&
	       (conn->index + UINT64_C(1)) * sizeof(struct hold) <= conn->size;
}

/* The hold of a connection, in an arena that others of the note may share: each
 * maps it anew, which is the same memory. */
static bool take_hold(struct xvmc_endpoint *ep, const struct note_conn *conn)
{
	struct hold_arena *arena;
	int mem_fd = take_fd(conn->mem_fd);

	if (mem_fd < 0)
		return false;
	if (!is_arena(mem_fd, conn)) {
		os_close(mem_fd);
		return false;
	}
	arena = arena_again(ep->ctx, mem_fd, take_fd(conn->bell_fd), conn->size);
	if (!arena)
		return false;
	arena->users = 1;
	ep->hold_arena = arena;
	ep->hold = &arena->holds[conn->index];
	ep->forked = ep->fork_idle = true;
	return true;
}

/* Goes on with a connection that was found at its first number. */
static void take_up(struct xvmc_endpoint *ep, const struct note_conn *conn)
{
	ep->conn.tx.shut = conn->shut;
	if (conn->mem_fd >= 0 && !take_hold(ep, conn)) {
		fork_spoil(ep); /* its hold stays taken */
		ep->state = XVMC_EP_PINNED;
		ep->reason = XVMC_R_EXEC;
		return;
	}
	fork_add_sums(&ep->conn, &conn->sums);
}

/* All its numbers are known: with stdio it stays held, else its first use takes
 * a hold, as after a fork. */
static void settle(struct xvmc_endpoint *ep)
{
	for (int fd = 0; fd <= 2; fd++)
		if (xvmc_fd_peek(ep->ctx, fd) == &ep->obj)
			xvmc_sock_stdio(ep, fd);
	section_lock(&ep->ctx->epoll_lock);
	fork_rest(ep);
	section_unlock(&ep->ctx->epoll_lock);
}

static void take_conn(struct xvmc_ctx *ctx, struct fd_list *list,
		      const struct note_conn *conn)
{
	struct xvmc_endpoint *ep = NULL;
	char what[64];
	int fd, first = -1;

	list_begin(list);
	while ((fd = list_next(list, what, sizeof(what))) >= 0) {
		if (strncmp(what, "socket:", 7) != 0 || cookie_of(fd) != conn->cookie)
			continue;
		if (ep && (size_t)fd >= ctx->nfds)
			xvmc_sock_escape(ep, XVMC_R_UNFOLLOWED);
		if (ep) {
			xvmc_sock_dup(ctx, first, fd);
			continue;
		}
		ep = endpoint_found(ctx, fd, conn->active);
		first = fd;
		if (!ep)
			return;
		take_up(ep, conn);
	}
	if (!ep)
		return;
	settle(ep);
	xvmc_ep_put(ep);
}

static void drop(const struct exec_note *note)
{
	for (uint32_t i = 0; i < note->n; i++) {
		if (note->conn[i].mem_fd >= 0)
			OS1(SYS_close, note->conn[i].mem_fd);
		if (note->conn[i].bell_fd >= 0)
			OS1(SYS_close, note->conn[i].bell_fd);
	}
}

char *xvmc_sock_executed(struct xvmc_ctx *ctx, const char *by)
{
	struct exec_note *note;
	struct fd_list list;
	char *path = NULL;
	int fd;

	if (!list_open(&list))
		return NULL;
	note = find_note(&list, by, &fd);
	if (note) {
		path = strndup(note->path, EXEC_PATH_MAX);
		if (ctx && !note->stale && !waits_unseen(&list))
			for (uint32_t i = 0; i < note->n; i++)
				take_conn(ctx, &list, &note->conn[i]);
		drop(note);
		free(note);
		OS1(SYS_close, fd);
	}
	os_close(list.dir);
	return path;
}
