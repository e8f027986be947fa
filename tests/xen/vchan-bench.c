/* SPDX-License-Identifier: MIT */
/*
 * What xvmc-bench measures, over libvchan: the lab's comparison. Rings of the
 * size that xvmc's have. One client, then it ends.
 *
 *   vchan-bench serve DOMID           the peer's; at data/vchan of this guest
 *   vchan-bench stream DOMID BYTES SECONDS
 *   vchan-bench rr DOMID BYTES SECONDS
 *
 * The client says what it is going to do in its first message. A stream ends
 * with the number of bytes the server has read, and is measured until then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libxenvchan.h>

#define RING (256u << 10)
#define BUFFER (64u << 10)
#define WARM_S 1.0

enum kind { STREAM = 1, RR = 2 };

struct order {
	uint32_t kind;
	uint32_t bytes; /* of a message */
};

static char buf[BUFFER];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "vchan-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* All of it. False: the other end has closed. */
static bool put(struct libxenvchan *chan, const void *data, size_t len)
{
	for (const char *p = data; len > 0;) {
		int n = libxenvchan_write(chan, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool get(struct libxenvchan *chan, void *data, size_t len)
{
	for (char *p = data; len > 0;) {
		int n = libxenvchan_read(chan, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* ---- the server ---- */

/* A stream's messages begin with a word: 1, or 0 in the last one. */
static void take_stream(struct libxenvchan *chan, uint32_t bytes)
{
	uint64_t total = 0;

	while (get(chan, buf, bytes)) {
		total += bytes;
		if (buf[0] == 0)
			break;
	}
	put(chan, &total, sizeof(total));
}

static int serve(int domid)
{
	struct libxenvchan *chan;
	struct order order;

	chan = libxenvchan_server_init(NULL, domid, "data/vchan", RING, RING);
	if (!chan)
		fail("server");
	chan->blocking = 1;
	puts("listening");
	fflush(stdout);
	while (libxenvchan_is_open(chan) == 2)
		libxenvchan_wait(chan);
	if (!get(chan, &order, sizeof(order)) || order.bytes == 0 || order.bytes > BUFFER)
		fail("order");
	if (order.kind == STREAM)
		take_stream(chan, order.bytes);
	else
		while (get(chan, buf, order.bytes) && put(chan, buf, order.bytes))
			;
	/* The client closes first. */
	while (libxenvchan_is_open(chan) == 1)
		libxenvchan_wait(chan);
	libxenvchan_close(chan);
	return 0;
}

/* ---- the client ---- */

static void stream(struct libxenvchan *chan, uint32_t bytes, double seconds)
{
	uint64_t sent = 0, warm = 0, received;
	double start = now(), until = start + WARM_S + seconds, t;
	bool measuring = false;

	buf[0] = 1;
	while ((t = now()) < until) {
		if (!measuring && t >= start + WARM_S) {
			measuring = true;
			start = t;
			warm = sent;
		}
		if (!put(chan, buf, bytes))
			fail("stream");
		sent += bytes;
	}
	buf[0] = 0;
	if (!put(chan, buf, bytes) || !get(chan, &received, sizeof(received)))
		fail("end of the stream");
	sent += bytes;
	if (received != sent)
		fail("bytes are missing");
	t = now() - start;
	printf("{\"pattern\":\"stream\",\"bytes\":%u,\"seconds\":%.6f,\"bytes_moved\":%" PRIu64
	       ",\"gbit_s\":%.4f}\n",
	       bytes, t, sent - warm, (double)(sent - warm) * 8 / 1e9 / t);
}

static void rr(struct libxenvchan *chan, uint32_t bytes, double seconds)
{
	uint64_t n = 0;
	double start = now(), until = start + WARM_S + seconds, t;
	bool measuring = false;

	while ((t = now()) < until) {
		if (!measuring && t >= start + WARM_S) {
			measuring = true;
			start = t;
			n = 0;
		}
		if (!put(chan, buf, bytes) || !get(chan, buf, bytes))
			fail("request-response");
		n++;
	}
	t = now() - start;
	printf("{\"pattern\":\"rr\",\"bytes\":%u,\"seconds\":%.6f,\"transactions\":%" PRIu64
	       ",\"per_s\":%.1f}\n",
	       bytes, t, n, (double)n / t);
}

int main(int argc, char **argv)
{
	struct libxenvchan *chan;
	struct order order;
	char path[64];
	int domid;

	if (argc < 3 || (strcmp(argv[1], "serve") != 0 && argc != 5)) {
		fputs("usage: vchan-bench serve DOMID | vchan-bench stream|rr DOMID BYTES SECONDS\n", stderr);
		return 2;
	}
	domid = atoi(argv[2]);
	if (strcmp(argv[1], "serve") == 0)
		return serve(domid);
	order.kind = strcmp(argv[1], "rr") == 0 ? RR : STREAM;
	order.bytes = (uint32_t)atoi(argv[3]);
	snprintf(path, sizeof(path), "/local/domain/%d/data/vchan", domid);
	chan = libxenvchan_client_init(NULL, domid, path);
	if (!chan)
		fail("client");
	chan->blocking = 1;
	if (order.bytes == 0 || order.bytes > BUFFER || !put(chan, &order, sizeof(order)))
		fail("order");
	if (order.kind == RR)
		rr(chan, order.bytes, atof(argv[4]));
	else
		stream(chan, order.bytes, atof(argv[4]));
	libxenvchan_close(chan);
	return 0;
}
