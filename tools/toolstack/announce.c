/* SPDX-License-Identifier: MIT */
/*
 * Who is told, how, and who has answered.
 */
#include "announce.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/os.h"

static void number_new(struct announce *a)
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = os_now_ns() ^ (uint64_t)getpid() << 32;
	snprintf(a->number, sizeof(a->number), "%" PRIx64, n);
}

static bool runs_xvmcd(struct announce *a, uint32_t domid)
{
	char path[64], text[XEN_STORE_TEXT];

	snprintf(path, sizeof(path), "/local/domain/%u/data/xvmc/version", domid);
	return xen_store_read(a->store, path, text) == 0;
}

static bool is_told(const struct announce *a, uint32_t domid)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->guest[i] == domid)
			return true;
	return false;
}

static bool take_guest(void *arg, const char *name)
{
	struct announce *a = arg;
	char *end;
	unsigned long domid = strtoul(name, &end, 10);

	if (a->n == ANNOUNCE_GUESTS_MAX)
		return false;
	if (end != name && !*end && domid != 0 && !is_told(a, (uint32_t)domid) &&
	    runs_xvmcd(a, (uint32_t)domid))
		a->guest[a->n++] = (uint32_t)domid;
	return true;
}

static void word_path(const struct announce *a, uint32_t domid, char path[64])
{
	snprintf(path, 64, "/local/domain/%u/xvmc/migrate/%u", domid, a->mover);
}

static void answer_path(const struct announce *a, uint32_t domid, char path[64])
{
	snprintf(path, 64, "/local/domain/%u/data/xvmc/prepared-%u", domid, a->mover);
}

static void say(struct announce *a, const char *phase)
{
	char path[64], text[40];

	/* There may be new ones. */
	xen_store_list(a->store, "/local/domain", take_guest, a);
	snprintf(text, sizeof(text), "%s %s", a->number, phase);
	for (uint32_t i = 0; i < a->n; i++) {
		/* Written to a guest that has gone, it would make it again. */
		if (!runs_xvmcd(a, a->guest[i]))
			continue;
		word_path(a, a->guest[i], path);
		xen_store_write(a->store, path, text);
	}
}

void announce_new(struct announce *a, uint32_t mover)
{
	*a = (struct announce){ .mover = mover };
	number_new(a);
}

void announce_begin(struct announce *a, struct xen_store *store)
{
	a->store = store;
	say(a, "keep");
}

/* A guest may write there what it likes: it is only compared. */
static bool has_answered(struct announce *a, uint32_t domid)
{
	char path[64], text[XEN_STORE_TEXT];

	answer_path(a, domid, path);
	return xen_store_read(a->store, path, text) == 0 && strcmp(text, a->number) == 0;
}

static uint32_t missing(struct announce *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n; i++)
		n += !has_answered(a, a->guest[i]) && runs_xvmcd(a, a->guest[i]);
	return n;
}

uint32_t announce_prepare(struct announce *a, uint32_t wait_ms)
{
	uint64_t until = os_now_ns() + wait_ms * 1000000ull;
	struct pollfd pfd = { .fd = xen_store_fd(a->store), .events = POLLIN };
	char path[64];
	uint32_t left;

	say(a, "prepare");
	for (uint32_t i = 0; i < a->n; i++) {
		answer_path(a, a->guest[i], path);
		xen_store_watch(a->store, path);
	}
	/* Watched first, then looked at: no answer is missed. */
	while ((left = missing(a)) > 0) {
		uint64_t now = os_now_ns();

		if (now >= until)
			break;
		poll(&pfd, 1, (int)((until - now) / 1000000) + 1);
		xen_store_fired(a->store);
	}
	for (uint32_t i = 0; i < a->n; i++) {
		answer_path(a, a->guest[i], path);
		xen_store_unwatch(a->store, path);
	}
	return left;
}

/* Ours: it has our number. */
static bool take_back(void *arg, const char *name)
{
	struct announce *a = arg;
	char path[64], text[XEN_STORE_TEXT], *end;
	unsigned long domid = strtoul(name, &end, 10);
	size_t len = strlen(a->number);

	if (end == name || *end)
		return true;
	word_path(a, (uint32_t)domid, path);
	if (xen_store_read(a->store, path, text) == 0 && strncmp(text, a->number, len) == 0 &&
	    text[len] == ' ')
		xen_store_remove(a->store, path);
	return true;
}

void announce_end(struct announce *a, struct xen_store *store)
{
	a->store = store;
	xen_store_list(a->store, "/local/domain", take_back, a);
	a->n = 0;
}
