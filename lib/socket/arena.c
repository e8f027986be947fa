/* SPDX-License-Identifier: MIT */
/*
 * Arenas of holds: shared memory and a bell, each with a descriptor of ours
 * where there is one to be had.
 */
#include "arena.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "service.h"

static struct hold *map(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* So many arenas of a process have descriptors: they are the program's to have,
 * too, and a server may fork for each connection and keep all of them. */
#define ARENAS_MAX 32u

static bool has_fds(const struct hold_arena *arena)
{
	return arena->mem_fd >= 0 || arena->bell_fd >= 0;
}

static void close_fds(struct hold_arena *arena)
{
	if (arena->mem_fd >= 0)
		os_close(arena->mem_fd);
	if (arena->bell_fd >= 0)
		os_close(arena->bell_fd);
}

/* Takes the descriptors over. fresh: without a file it is nobody's yet. */
static struct hold_arena *arena_of(struct xvmc_ctx *ctx, int mem_fd, int bell_fd,
				   size_t size, bool fresh)
{
	struct hold_arena *arena = malloc(sizeof(*arena));
	struct hold_arena made = { .mem_fd = mem_fd, .bell_fd = bell_fd, .size = size };

	if (arena && (mem_fd >= 0 || fresh))
		made.holds = map(mem_fd, size);
	if (!made.holds) {
		close_fds(&made);
		free(arena);
		return NULL;
	}
	*arena = made;
	ctx->arenas += has_fds(arena);
	return arena;
}

struct hold_arena *arena_new(struct xvmc_ctx *ctx, size_t n)
{
	size_t size = n * sizeof(struct hold);
	int mem_fd, bell_fd;

	if (ctx->arenas >= ARENAS_MAX)
		return arena_of(ctx, -1, -1, size, true);
	mem_fd = OS_MAKE(os_memfd("xvmc-hold", MFD_CLOEXEC));
	bell_fd = OS_MAKE(os_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (mem_fd >= 0 && OS2(SYS_ftruncate, mem_fd, size) != 0) {
		os_close(mem_fd);
		mem_fd = -1;
	}
	return arena_of(ctx, mem_fd, bell_fd, size, true);
}

struct hold_arena *arena_again(struct xvmc_ctx *ctx, int mem_fd, int bell_fd, size_t size)
{
	return arena_of(ctx, mem_fd, bell_fd, size, false);
}

void arena_put(struct xvmc_ctx *ctx, struct hold_arena *arena)
{
	if (--arena->users)
		return;
	if (ctx->opt.enable) { /* else the process may be confined to fewer calls */
		service_hear(ctx, arena->bell_fd, false);
		munmap(arena->holds, arena->size);
		close_fds(arena);
		ctx->arenas -= has_fds(arena);
	}
	free(arena);
}

void arena_hear(struct xvmc_ctx *ctx, const struct hold_arena *arena)
{
	service_hear(ctx, arena->bell_fd, true);
}
