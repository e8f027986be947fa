/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: what the calls that move bytes draw - which descriptor, how much,
 * which bytes, which flags - and how what came of it is noted and said.
 */
#include "calls.h"

int pick_stream(void)
{
	return pick_mostly(K_TCP);
}

/* ---- bytes, and how many ---- */

void put(uint8_t *buf, size_t n)
{
	uint32_t base = below(1u << 24);

	for (size_t i = 0; i < n; i++)
		buf[i] = conf_byte(base + i);
}

unsigned int hash(const uint8_t *buf, long n)
{
	uint32_t h = 2166136261u;

	for (long i = 0; i < n; i++)
		h = (h ^ buf[i]) * 16777619u;
	return n > 0 ? h & 0xffffff : 0;
}

static size_t some_length(void)
{
	switch (below(10)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
	case 3:
	case 4:
		return below(64);
	case 9:
		return below(12000);
	default:
		return below(3000);
	}
}

size_t send_length(int fd)
{
	size_t n = some_length(), room;

	room = BUDGET - on_the_way(fd, false);
	return n < room ? n : room;
}

size_t recv_length(int fd)
{
	/* Often exactly what there is, or just one off. */
	if (chance(40))
		return on_the_way(fd, true) + below(3) - (on_the_way(fd, true) != 0);
	return chance(30) ? 50000 : some_length();
}

/* ---- flags ---- */

static const struct {
	int bit;
	const char *text;
} flag_names[] = {
	{ MSG_PEEK, "PEEK" },
	{ MSG_DONTWAIT, "DONTWAIT" },
	{ MSG_WAITALL, "WAITALL" },
	{ MSG_TRUNC, "TRUNC" },
	{ MSG_NOSIGNAL, "NOSIGNAL" },
	{ MSG_EOR, "EOR" },
	{ MSG_CONFIRM, "CONFIRM" },
	{ MSG_CMSG_CLOEXEC, "CLOEXEC" },
	{ MSG_ERRQUEUE, "ERRQUEUE" },
	{ 0x00800000, "odd" },
};

const char *flags_text(int flags)
{
	static char buf[120];

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
		if (!(flags & flag_names[i].bit))
			continue;
		strcat(buf, buf[0] ? "|" : "");
		strcat(buf, flag_names[i].text);
	}
	return buf[0] ? buf : "0";
}

int recv_flags(void)
{
	int flags = 0;

	flags |= chance(25) ? MSG_PEEK : 0;
	flags |= chance(30) ? MSG_DONTWAIT : 0;
	flags |= chance(15) ? MSG_WAITALL : 0;
	flags |= chance(5) ? MSG_TRUNC : 0;
	flags |= chance(3) ? MSG_CMSG_CLOEXEC : 0;
	flags |= chance(2) ? MSG_NOSIGNAL | MSG_CONFIRM : 0;
	flags |= chance(1) ? MSG_ERRQUEUE : 0;
	flags |= chance(1) ? 0x00800000 : 0;
	return flags;
}

int send_flags(void)
{
	int flags = 0;

	flags |= chance(40) ? MSG_NOSIGNAL : 0;
	flags |= chance(30) ? MSG_DONTWAIT : 0;
	flags |= chance(5) ? MSG_EOR : 0;
	flags |= chance(3) ? MSG_CONFIRM : 0;
	flags |= chance(2) ? MSG_PEEK | MSG_WAITALL | MSG_TRUNC : 0;
	return flags;
}

/* ---- what came of it ---- */

void sent(int fd, long r)
{
	struct file *f = file_of(fd);

	if (!f || f->kind != K_TCP || r <= 0)
		return;
	w.conns[f->conn].sent[f->end] += (uint64_t)r;
	if (w.conns[f->conn].file[!f->end] < 0)
		wait_refused(fd);
}

void got(int fd, long r)
{
	struct file *f = file_of(fd);

	if (f && f->kind == K_TCP && r > 0)
		w.conns[f->conn].got[f->end] += (uint64_t)r;
}

void say_got(int fd, long r, size_t want, int flags, const char *what)
{
	unsigned int sum = flags & MSG_TRUNC ? 0 : hash(w.buf, r < (long)want ? r : (long)want);

	if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		got(fd, r);
	if (r > 0)
		say_res(r, "%s(%s, %zu, %s) #%06x", what, name(fd), want, flags_text(flags), sum);
	else
		say_res(r, "%s(%s, %zu, %s)", what, name(fd), want, flags_text(flags));
}
