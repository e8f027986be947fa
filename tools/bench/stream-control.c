/* SPDX-License-Identifier: MIT */
/*
 * The control connection of a checked stream: lines of text. Every
 * connection begins with a line of FIRST_LEN bytes that says what it is:
 *   hello xvmc-stream 1 ID SEED CONNECTIONS SECONDS MODE RATE STALL
 *   data ID CONNECTION
 * The server answers 'ready' to the first and, when all others are there,
 * 'go'. At the end the client tells what it has sent, then the server what
 * it has sent and what it found:
 *   sent CONNECTION BYTES, row ..., gaps ..., end
 * Either may say 'halt' instead, and where everything stands.
 */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_S 30.0
#define HALT_S 3.0

int first_send(int fd, const char *format, ...)
{
	char text[FIRST_LEN];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0 || len >= FIRST_LEN)
		return -EMSGSIZE;
	memset(text + len, ' ', (size_t)(FIRST_LEN - len));
	text[FIRST_LEN - 1] = '\n';
	return write_full(fd, text, sizeof(text));
}

int first_receive(int fd, double seconds, char text[FIRST_LEN + 1])
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	int r;

	if (poll(&wait, 1, (int)(seconds * 1000)) <= 0)
		return -ETIMEDOUT;
	r = read_full(fd, text, FIRST_LEN);
	text[FIRST_LEN] = '\0';
	return r == 1 ? 0 : r < 0 ? r : -EPIPE;
}

void control_init(struct control *control, int fd)
{
	*control = (struct control){ .fd = fd, .buf = must_alloc(LINE_MAX_LEN + 1) };
}

void control_deinit(struct control *control)
{
	close(control->fd);
	free(control->buf);
}

int control_send(struct control *control, const char *format, ...)
{
	char *text;
	va_list args;
	int len;
	int err;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return -ENOMEM;
	err = write_full(control->fd, text, (size_t)len);
	free(text);
	return err;
}

/* Waits for bytes and takes them. 1, 0 for none in time, -EPIPE, -errno. */
static int fill(struct control *control, uint64_t until_ns)
{
	uint64_t now = now_ns();
	struct pollfd fd = { .fd = control->fd, .events = POLLIN };
	uint64_t ms = until_ns > now ? (until_ns - now + 999999) / 1000000 : 0;
	ssize_t n;

	if (control->len == LINE_MAX_LEN)
		return -EMSGSIZE;
	if (poll(&fd, 1, (int)ms) <= 0)
		return 0;
	n = read(control->fd, control->buf + control->len, LINE_MAX_LEN - control->len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	control->len += (size_t)n;
	return 1;
}

/* The line handed out last stays in buf, behind it a zero, until here. */
static void drop_line(struct control *control)
{
	size_t used;

	if (!control->ended)
		return;
	used = strlen(control->buf) + 1;
	control->len -= used;
	memmove(control->buf, control->buf + used, control->len);
	control->ended = false;
}

int control_peek(struct control *control, uint64_t until_ns)
{
	drop_line(control);
	if (!control->len && fill(control, until_ns) < 0)
		return -1;
	return control->len ? control->buf[0] : 0;
}

int control_line(struct control *control, double seconds, const char **ret_line)
{
	uint64_t until = now_ns() + (uint64_t)(seconds * 1e9);
	char *end;

	drop_line(control);
	while (!(end = memchr(control->buf, '\n', control->len))) {
		int r = fill(control, until);

		if (r < 0)
			return r == -EPIPE ? 0 : r;
		if (r == 0 && now_ns() >= until)
			return 0;
	}
	*end = '\0';
	control->ended = true;
	*ret_line = control->buf;
	return 1;
}

static int must_line(struct control *control, const char **ret_line)
{
	int r = control_line(control, ANSWER_S, ret_line);

	if (r == 1 && strcmp(*ret_line, "halt") == 0)
		return -ECANCELED;
	return r == 1 ? 0 : r < 0 ? r : -EPIPE;
}

void side_init(struct side *side, unsigned n)
{
	memset(side, 0, sizeof(*side));
	side->n = n;
	side->rows = must_alloc(n * sizeof(side->rows[0]));
}

void side_deinit(struct side *side)
{
	free(side->rows);
}

bool side_right(const struct side *side)
{
	for (unsigned i = 0; i < side->n; i++) {
		const struct row *row = &side->rows[i];

		if (!checker_right(&row->counts) || row->write_err || row->read_err ||
		    row->overruns)
			return false;
	}
	return true;
}

void side_collect(struct side *side, struct run *run, const uint64_t *sent)
{
	for (unsigned i = 0; i < side->n; i++) {
		struct conn *conn = &run->conns[i];
		struct row *row = &side->rows[i];

		checker_finish(&conn->rx.checker, sent[i]);
		snprintf(row->style, sizeof(row->style), "%s/%s", wait_name(conn->wait),
			 call_name(conn->call));
		row->rr = conn->rr;
		row->write_err = conn->tx.lane.err;
		row->read_err = conn->rx.lane.err;
		row->sent = conn->tx.lane.pos;
		row->max_gap_ns = conn->rx.max_gap_ns;
		row->overruns = conn->rx.overruns;
		row->counts = conn->rx.checker.counts;
		hist_merge(&side->gaps, &conn->rx.gaps);
	}
}

int sent_send(const struct run *run, struct control *control)
{
	int err = 0;

	for (unsigned i = 0; i < run->config.connections && err == 0; i++)
		err = control_send(control, "sent %u %" PRIu64 "\n", i,
				   (uint64_t)run->conns[i].tx.lane.pos);
	return err < 0 ? err : control_send(control, "end\n");
}

int sent_receive(uint64_t *sent, unsigned n, struct control *control)
{
	const char *line;
	int err;

	while ((err = must_line(control, &line)) == 0 && strcmp(line, "end") != 0) {
		unsigned i;
		uint64_t bytes;

		if (sscanf(line, "sent %u %" SCNu64, &i, &bytes) != 2 || i >= n)
			return -EPROTO;
		sent[i] = bytes;
	}
	return err;
}

static int row_send(const struct row *row, unsigned i, struct control *control)
{
	const struct checker_counts *c = &row->counts;

	return control_send(control,
			    "row %u %s %d %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			    " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			    " %" PRIu64 " %" PRIu64 "\n",
			    i, row->style, row->rr, row->write_err, row->read_err, row->sent,
			    row->max_gap_ns, row->overruns, c->received, c->verified, c->lost,
			    c->duplicated, c->reordered, c->corrupted, c->crossed, c->truncated,
			    c->events);
}

static int row_receive(struct side *side, const char *line)
{
	struct row row = { 0 };
	struct checker_counts *c = &row.counts;
	unsigned i;
	int rr;

	if (sscanf(line,
		   "row %u %39s %d %d %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64,
		   &i, row.style, &rr, &row.write_err, &row.read_err, &row.sent, &row.max_gap_ns,
		   &row.overruns, &c->received, &c->verified, &c->lost, &c->duplicated,
		   &c->reordered, &c->corrupted, &c->crossed, &c->truncated, &c->events) != 17 ||
	    i >= side->n)
		return -EPROTO;
	row.rr = rr;
	side->rows[i] = row;
	return 0;
}

int side_send(const struct side *side, struct control *control)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory;
	int err = 0;

	for (unsigned i = 0; i < side->n && err == 0; i++)
		err = row_send(&side->rows[i], i, control);
	memory = open_memstream(&text, &len);
	if (!memory)
		return -ENOMEM;
	hist_print(&side->gaps, memory);
	fclose(memory);
	if (err == 0)
		err = control_send(control, "gaps %s\nend\n", text);
	free(text);
	return err;
}

int side_receive(struct side *side, struct control *control)
{
	unsigned rows = 0;
	const char *line;
	int err;

	while ((err = must_line(control, &line)) == 0 && strcmp(line, "end") != 0) {
		if (strncmp(line, "gaps ", 5) == 0) {
			err = hist_scan(line + 5, &side->gaps);
		} else {
			err = row_receive(side, line);
			rows++;
		}
		if (err < 0)
			return err;
	}
	return err == 0 && rows != side->n ? -EPROTO : err;
}

/* As printed on standard error by the one who notices. */
static void position(const struct conn *conn, char *text, size_t size)
{
	snprintf(text, size, "connection %u (%s/%s%s): written %" PRIu64 "%s, read %" PRIu64 "%s",
		 conn->id, wait_name(conn->wait), call_name(conn->call), conn->rr ? " rr" : "",
		 (uint64_t)conn->tx.lane.pos, conn->tx.lane.done ? " (end)" : "",
		 (uint64_t)conn->rx.lane.pos, conn->rx.lane.done ? " (end)" : "");
}

void halt_send(const struct run *run, struct control *control)
{
	char text[200];

	control_send(control, "halt\n");
	for (unsigned i = 0; i < run->config.connections; i++) {
		position(&run->conns[i], text, sizeof(text));
		if (control_send(control, "%s\n", text) < 0)
			return;
	}
	control_send(control, "end\n");
}

void halt_print(const struct run *run, struct control *control)
{
	char text[200];
	const char *line;

	for (unsigned i = 0; i < run->config.connections; i++) {
		position(&run->conns[i], text, sizeof(text));
		complain("here:  %s", text);
	}
	while (control_line(control, HALT_S, &line) == 1 && strcmp(line, "end") != 0)
		if (strcmp(line, "halt") != 0)
			complain("there: %s", line);
}
