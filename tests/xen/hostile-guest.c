/* SPDX-License-Identifier: MIT */
/*
 * As an xvmcd would, and with no check of what it is told.
 */
#include "hostile.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <xvmc/agent.h>

#define PAGE 4096u
#define RING ((uint64_t)CTL_DIR_PAGES * PAGE)
#define PATIENCE_MS 120000

struct xvmc_hv *hv;
struct xen_store *store;
uint32_t self, victim;
bool leads;

struct ctl_link ctl_link;

_Noreturn void die(const char *what, int rc)
{
	printf("%s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(1);
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void doze(void)
{
	poll(NULL, 0, 20);
}

void noise(void *to, size_t len)
{
	if (getrandom(to, len, 0) != (ssize_t)len)
		memset(to, 0xa5, len);
}

uint32_t random_below(uint32_t n)
{
	uint32_t r;

	noise(&r, sizeof(r));
	return r % n;
}

/* ---- xenstore ---- */

const char *path_of(const char *form, uint32_t a, uint32_t b)
{
	static char path[96];

	snprintf(path, sizeof(path), form, a, b);
	return path;
}

void put(const char *path, const char *text)
{
	int rc = xen_store_write(store, path, "");

	if (rc == 0)
		rc = xen_store_permit(store, path, self, victim);
	if (rc == 0)
		rc = xen_store_write(store, path, text);
	if (rc < 0)
		die(path, rc);
}

/* Until the node is there, or is not. */
static void await(const char *path, bool there, char *text)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while ((xen_store_read(store, path, text) == 0 && text[0]) != there) {
		if (now_ms() > until)
			die(path, ETIMEDOUT);
		doze();
	}
}

/* ---- what xvmcd would do, up to a point ---- */

void take_part(void)
{
	char text[XEN_STORE_TEXT];
	int rc = xen_store_write(store, "data/xvmc/version", "1");

	if (rc < 0)
		die("data/xvmc/version", rc);
	await(path_of("xvmc/peers/%u", victim, 0), true, text);
}

void leave(void)
{
	char text[XEN_STORE_TEXT];

	xen_store_remove(store, "data/xvmc");
	await(path_of("xvmc/peers/%u", victim, 0), false, text);
}

void say_offer(const char *ask, uint32_t port, const uint32_t *gref)
{
	char text[XEN_STORE_TEXT];
	int n;

	n = snprintf(text, sizeof(text), "%s %x %u", ask, 1 + random_below(1u << 30), port);
	for (unsigned int i = 0; i < CTL_PAGES; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %u", gref[i]);
	put(path_of("data/xvmc/ctl-%u", victim, 0), text);
}

/* The other one asks for a channel; it does so as long as we are there. */
void hear_ask(char *ret_ask)
{
	await(path_of("/local/domain/%u/data/xvmc/ask-%u", victim, self), true, ret_ask);
	ret_ask[strcspn(ret_ask, " ")] = '\0';
}

void pages(void)
{
	int rc = xvmc_hv_share(hv, victim, CTL_PAGES, true, &ctl_link.share, ctl_link.gref);

	if (rc == 0)
		rc = xvmc_hv_chan_alloc(hv, victim, &ctl_link.chan);
	if (rc < 0)
		die("pages", rc);
	ctl_link.base = ctl_link.share.addr;
	*(uint64_t *)ctl_link.base = 1 + random_below(1u << 30);
}

static void map_theirs(void)
{
	char text[XEN_STORE_TEXT], *at;
	uint32_t gref[CTL_PAGES], port;
	uint64_t ask = 1 + random_below(1u << 30), said = 0, offer;
	char mine[24];
	int used = 0, rc;

	snprintf(mine, sizeof(mine), "%" PRIx64, ask);
	put(path_of("data/xvmc/ask-%u", victim, 0), mine);
	while (said != ask) {
		await(path_of("/local/domain/%u/data/xvmc/ctl-%u", victim, self), true, text);
		if (sscanf(text, "%" SCNx64 " %" SCNx64 " %u%n", &said, &offer, &port, &used) != 3)
			said = 0;
		doze();
	}
	at = text + used;
	for (unsigned int i = 0; i < CTL_PAGES; i++, at += used)
		if (sscanf(at, "%u%n", &gref[i], &used) != 1)
			die("offer", EPROTO);
	rc = xvmc_hv_map(hv, victim, gref, CTL_PAGES, true, XVMC_HV_NO_CLEAR, &ctl_link.map);
	if (rc == 0)
		rc = xvmc_hv_chan_bind(hv, victim, port, &ctl_link.chan);
	if (rc < 0)
		die("map", rc);
	ctl_link.base = ctl_link.map.addr;
}

/* ---- the channel, raw: docs in tools/xvmcd/ctl.c ---- */

static volatile uint64_t *word(unsigned int line)
{
	return (volatile uint64_t *)(void *)(ctl_link.base + 64u * line);
}

volatile uint64_t *our_prod(void)
{
	return word(leads ? 1 : 2);
}

static uint8_t *ring(bool ours)
{
	return ctl_link.base + PAGE + (leads == ours ? 0 : RING);
}

void ring_bell(void)
{
	xvmc_hv_notify(hv, &ctl_link.chan);
}

void bytes_out(const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ring(true)[(ctl_link.prod + i) % RING] = ((const uint8_t *)from)[i];
	ctl_link.prod += n;
}

/* False: the other one has not read for long. */
bool frame(uint32_t agent, const void *body, uint32_t len)
{
	uint32_t head[2] = { len, agent };
	uint64_t until = now_ms() + 20000;

	while (ctl_link.prod - *word(leads ? 3 : 4) + sizeof(head) + len > RING) {
		if (now_ms() > until)
			return false;
		ring_bell();
		doze();
	}
	bytes_out(head, sizeof(head));
	bytes_out(body, len);
	__atomic_store_n(our_prod(), ctl_link.prod, __ATOMIC_SEQ_CST);
	ring_bell();
	return true;
}

/* 0: nothing came in time. */
size_t frame_in(uint32_t *ret_agent, void *body, size_t max, int ms)
{
	uint64_t until = now_ms() + (uint64_t)ms;
	uint32_t head[2];

	while (*word(leads ? 2 : 1) - ctl_link.cons < sizeof(head)) {
		if (now_ms() > until)
			return 0;
		doze();
	}
	for (size_t i = 0; i < sizeof(head); i++)
		((uint8_t *)head)[i] = ring(false)[(ctl_link.cons + i) % RING];
	for (size_t i = 0; i < head[0] && i < max; i++)
		((uint8_t *)body)[i] = ring(false)[(ctl_link.cons + sizeof(head) + i) % RING];
	ctl_link.cons += sizeof(head) + head[0];
	*word(leads ? 4 : 3) = ctl_link.cons;
	ring_bell();
	*ret_agent = head[1];
	return head[0];
}

/* All that was said so far has been read. A bell is heard only by who has bound
 * it, which may be a moment later. */
static bool heard(int ms)
{
	uint64_t until = now_ms() + (uint64_t)ms;

	while (*word(leads ? 3 : 4) != ctl_link.prod) {
		if (now_ms() > until)
			return false;
		ring_bell();
		doze();
	}
	return true;
}

/* A good channel, whoever leads. What is asked in xenstore may be of old; so
 * it counts when something has been read from it, that is of no interest. */
void channel(void)
{
	const struct xvmc_agent_hdr end = { .version = XVMC_AGENT_VERSION,
					    .type = XVMC_AG_END, .len = sizeof(end) };
	char ask[XEN_STORE_TEXT], told[XEN_STORE_TEXT] = "";
	uint64_t until = now_ms() + PATIENCE_MS;

	if (leads)
		pages();
	else
		map_theirs();
	frame(999999, &end, sizeof(end));
	do {
		if (now_ms() > until)
			die("no channel", ETIMEDOUT);
		if (!leads)
			continue;
		hear_ask(ask);
		if (strcmp(ask, told) != 0)
			say_offer(ask, ctl_link.chan.port, ctl_link.gref);
		strcpy(told, ask);
	} while (!heard(500));
}
