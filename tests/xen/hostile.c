/* SPDX-License-Identifier: MIT */
/*
 * A guest that plays xvmcd and means harm, for the part `hostile`: takes part
 * as any guest does, and then says to the other one's xvmcd what no xvmcd says.
 * What becomes of that is looked at from there.
 *
 *   hostile follow DOMID TRICK   the other one leads: it has the lower domid
 *   hostile lead DOMID TRICK     the other one follows
 *
 * Exit status 0: the trick was played to its end; what was seen is printed.
 */
#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xvmc/agent.h>

/* It has not come as it should have. */
static bool failed;

/* ---- tricks, on the channel ---- */

static void trick_index(void)
{
	__atomic_store_n(our_prod(), 1ull << 40, __ATOMIC_SEQ_CST);
	ring_bell();
}

static void trick_length(void)
{
	const uint32_t head[2] = { 0xfffffff0u, 1 };

	bytes_out(head, sizeof(head));
	__atomic_store_n(our_prod(), ctl_link.prod, __ATOMIC_SEQ_CST);
	ring_bell();
}

/* Messages with a good head and nothing good behind it. */
static void trick_noise(void)
{
	static const uint16_t types[] = {
		XVMC_AG_HELLO, XVMC_AG_REGISTER, XVMC_AG_UNREGISTER, XVMC_AG_RELAY,
		XVMC_AG_UNLINK, XVMC_AG_ADOPT, XVMC_AG_MATCH, XVMC_AG_RELAYED,
		XVMC_AG_UNLINKED, XVMC_AG_YIELD, XVMC_AG_END, 0, 77,
	};
	static const uint16_t sizes[] = {
		sizeof(struct xvmc_ag_hello), sizeof(struct xvmc_ag_register),
		sizeof(struct xvmc_ag_word), sizeof(struct xvmc_ag_relay),
		sizeof(struct xvmc_ag_adopt), sizeof(struct xvmc_ag_match),
		sizeof(struct xvmc_agent_hdr), 1, 0,
	};
	_Alignas(8) uint8_t body[CTL_BODY_MAX];
	struct xvmc_agent_hdr *hdr = (void *)body;
	uint32_t n = 0;

	for (; n < 3000; n++) {
		uint32_t len = sizes[random_below(sizeof(sizes) / sizeof(sizes[0]))];

		noise(body, sizeof(body));
		hdr->version = XVMC_AGENT_VERSION;
		hdr->type = types[random_below(sizeof(types) / sizeof(types[0]))];
		hdr->len = (uint16_t)len;
		if (!frame(random_below(4), body, len))
			break;
	}
	printf("%u messages; ", n);
}

static void hello(uint32_t number)
{
	struct xvmc_ag_hello msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_HELLO, .len = sizeof(msg) },
		.role = XVMC_ROLE_APP,
	};

	if (!frame(number, &msg, sizeof(msg)))
		die("hello", ETIMEDOUT);
}

/* Both ends of what would be other people's connections. */
static void trick_claim(void)
{
	static const char *const whose[] = { "10.77.0.11", "10.77.0.12", "10.77.0.99", "127.0.0.1" };
	struct xvmc_ag_register msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_REGISTER, .len = sizeof(msg) },
	};
	uint8_t body[CTL_BODY_MAX];
	uint32_t agent, n = 0;

	hello(1);
	hello(2);
	for (unsigned int i = 0; i < 16; i++) {
		struct xvmc_ag_addr from = { .port = 4000 }, to = { .port = 5000 };

		if (i == 5)
			continue; /* both are its own */
		msg.epid = i;
		from.ip.s6_addr[10] = from.ip.s6_addr[11] = to.ip.s6_addr[10] = to.ip.s6_addr[11] = 0xff;
		inet_pton(AF_INET, whose[i / 4], &from.ip.s6_addr[12]);
		inet_pton(AF_INET, whose[i % 4], &to.ip.s6_addr[12]);
		msg.local = from;
		msg.remote = to;
		frame(1, &msg, sizeof(msg));
		msg.local = to;
		msg.remote = from;
		frame(2, &msg, sizeof(msg));
	}
	while (frame_in(&agent, body, sizeof(body), 3000) > 0)
		n += ((struct xvmc_agent_hdr *)(void *)body)->type == XVMC_AG_MATCH;
	printf("%u matches; ", n);
	failed |= n > 0;
}

/* Processes without end. */
static void trick_crowd(void)
{
	for (uint32_t i = 0; i < 20000; i++)
		hello(i);
}

/* Never a pause in which the other one could do anything else. */
static void trick_flood(void)
{
	const struct xvmc_agent_hdr end = { .version = XVMC_AGENT_VERSION,
					    .type = XVMC_AG_END, .len = sizeof(end) };
	uint64_t until = now_ms() + 30000, n = 0;

	for (; now_ms() < until; n++)
		if (!frame(999999, &end, sizeof(end)))
			break;
	printf("%" PRIu64 " messages; ", n);
}

/* ---- tricks with what is said in xenstore ---- */

/* Texts, references and ports that are none, one after the other. */
static void trick_offer(void)
{
	static const char *const texts[] = { "x", "-1 -1 -1", "1 2 3", "%s%s%n" };
	static const uint32_t odd[] = { 0, 1, 7, 8, 100, 32767, 32768, 65535, 0x7fffffff, 0xffffffff };
	uint32_t gref[CTL_PAGES];
	char ask[XEN_STORE_TEXT];

	pages();
	hear_ask(ask);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(path_of("data/xvmc/ctl-%u", victim, 0), texts[i]);
		poll(NULL, 0, 200);
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		memcpy(gref, ctl_link.gref, sizeof(gref));
		gref[i % CTL_PAGES] = odd[i];
		say_offer(ask, ctl_link.chan.port, gref);
		poll(NULL, 0, 200);
		if (odd[i] == ctl_link.chan.port)
			continue;
		say_offer(ask, odd[i], ctl_link.gref);
		poll(NULL, 0, 200);
	}
}

/* ---- all of it ---- */

static const struct trick {
	const char *name;
	bool channel; /* wants one */
	void (*play)(void);
} tricks[] = {
	{ "index", true, trick_index }, { "length", true, trick_length },
	{ "noise", true, trick_noise }, { "claim", true, trick_claim },
	{ "crowd", true, trick_crowd }, { "flood", true, trick_flood },
	{ "offer", false, trick_offer },
};

static void play(const char *name)
{
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		if (strcmp(tricks[i].name, name) != 0)
			continue;
		take_part();
		if (tricks[i].channel)
			channel();
		tricks[i].play();
		poll(NULL, 0, 1000); /* it may think about it */
		leave();
		printf("%s: played\n", name);
		return;
	}
	die(name, EINVAL);
}

int main(int argc, char **argv)
{
	struct xvmc_hv_self me;
	int rc;

	if (argc != 4 || (strcmp(argv[1], "lead") != 0 && strcmp(argv[1], "follow") != 0)) {
		fputs("usage: hostile lead|follow DOMID TRICK\n", stderr);
		return 2;
	}
	leads = strcmp(argv[1], "lead") == 0;
	victim = (uint32_t)atoi(argv[2]);
	rc = xvmc_hv_open_xen(&hv);
	if (rc == 0)
		rc = xvmc_hv_self(hv, &me);
	if (rc == 0)
		rc = xen_store_open(&store);
	if (rc < 0)
		die("xen", rc);
	self = me.domid;
	if (leads != (self < victim))
		die("the lower domid leads", EINVAL);
	play(argv[3]);
	xvmc_hv_close(hv);
	xen_store_close(store);
	return failed;
}
