/* SPDX-License-Identifier: MIT */
/*
 * A migration, played as a hypervisor would do it [S 6]: announcement and
 * pre-copy, preparation (unless it comes without), the instant, and the end.
 * Every wait is bounded: a process that does not answer is migrated as it is.
 *
 * On Xen the toolstack does the migration and dom0 says how far it is
 * (notice.c): the same announcement and preparation, but what comes then is
 * only waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "hv/local-wire.h"
#include "match.h"
#include "xen.h"

#define PREPARE_WAIT (500ull * MS)
#define CUT_WAIT (500ull * MS)

/* By the toolstack: how long dom0 waits for us is its business, and so is
 * the end; but a dom0 that never says so must not keep us on TCP. */
#define XEN_PREPARE_WAIT (60000ull * MS)
#define XEN_END_WAIT (120000ull * MS)

/* Beside enum xvmc_migrate_how. */
#define BY_TOOLSTACK 3u

enum phase { PRECOPY, PREPARE, CUT, PHASES, OVER = PHASES };

struct migration {
	struct xvmc_list node;
	struct xvmcd *d;
	struct xvmc_lh_dom *dom;
	uint32_t from, to; /* hosts */
	uint32_t old_domid;
	uint32_t how;
	enum phase phase;
	struct timer timer;
	uint32_t serial;
	char number[NOTICE_NUMBER]; /* by the toolstack: which one it is */
	struct xvmc_list owed; /* struct promise: PREPARED still to come */
	uint32_t ncuts;        /* CUT_DONE still to come */
	struct agent *tool;    /* NULL: it has gone */
	uint32_t tool_serial;
	uint64_t since;
	uint64_t took[PHASES]; /* ns */
};

/* A process has been asked to prepare. */
struct promise {
	struct xvmc_list node;     /* of the migration's */
	struct xvmc_list by_agent; /* of agent->owed */
	struct migration *mig;
};

static void promise_free(struct promise *promise)
{
	xvmc_list_del(&promise->node);
	xvmc_list_del(&promise->by_agent);
	free(promise);
}

static struct migration *find(struct xvmcd *d, const struct xvmc_lh_dom *dom)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->migrations) {
		struct migration *mig = xvmc_list_entry(it, struct migration, node);

		if (mig->dom == dom)
			return mig;
	}
	return NULL;
}

bool migrate_running(struct xvmcd *d, const struct xvmc_lh_dom *dom)
{
	return find(d, dom) != NULL;
}

static void say(struct agent *agent, uint16_t type,
		const struct xvmc_lh_dom *dom, uint32_t old_domid,
		uint32_t serial)
{
	struct xvmc_ag_migrate msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = type, .len = sizeof(msg), .serial = serial },
		.slot = dom->slot,
		.self = agent->dom == dom,
		.old_domid = old_domid,
		.serial = serial,
	};

	conn_send(&agent->conn, &msg, NULL, 0);
}

void migrate_say_finish(struct xvmcd *d, const struct xvmc_lh_dom *dom,
			uint32_t host, uint32_t old_domid)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role == XVMC_ROLE_APP && (agent->dom == dom || agent->dom->host == host))
			say(agent, XVMC_AG_FINISH, dom, old_domid, 0);
	}
}

/* The current phase has ended; how long did it take? */
static void lap(struct migration *mig)
{
	uint64_t now = os_now_ns();

	mig->took[mig->phase] = now - mig->since;
	mig->since = now;
	loop_disarm(mig->d->loop, &mig->timer);
}

static void log_end(const struct migration *mig)
{
	static const char *const how[] = { "prepared", "unprepared", "cancelled" };
	const struct xvmc_lh *lh = mig->d->lh;

	if (mig->how == BY_TOOLSTACK) {
		log_line("migrate %s, domid %u, by the toolstack: over; pre-copy %.3f ms, prepare %.3f ms",
			 mig->dom->name, mig->old_domid, (double)mig->took[PRECOPY] / MS,
			 (double)mig->took[PREPARE] / MS);
		return;
	}
	log_line("migrate %s, %s: %s -> %s, domid %u -> %u; pre-copy %.3f ms, prepare %.3f ms, instant %.3f ms",
		 mig->dom->name, how[mig->how], xvmc_lh_host_name(lh, mig->from),
		 xvmc_lh_host_name(lh, mig->to), mig->old_domid, mig->dom->domid,
		 (double)mig->took[PRECOPY] / MS, (double)mig->took[PREPARE] / MS,
		 (double)mig->took[CUT] / MS);
}

static void end(struct migration *mig)
{
	struct xvmcd *d = mig->d;
	struct xvmc_lh_dom *dom = mig->dom;

	log_end(mig);
	if (mig->how == BY_TOOLSTACK)
		notice_over(d);
	dom->suspending = false;
	agents_vms(d);
	match_again(d, dom);
	if (mig->tool)
		agent_send_hdr(mig->tool, XVMC_AG_END, 0, mig->tool_serial);
	while (!xvmc_list_empty(&mig->owed))
		promise_free(xvmc_list_entry(mig->owed.next, struct promise, node));
	loop_disarm(d->loop, &mig->timer);
	xvmc_list_del(&mig->node);
	xvmc_lh_dom_unuse(d->lh, dom);
	free(mig);
}

/* Everybody on the source host and the mover hear that it has left; then
 * whoever is together now is brought together. */
static void finish(struct migration *mig)
{
	struct xvmcd *d = mig->d;
	struct xvmc_list *it, *tmp;

	lap(mig);
	xvmc_list_each(it, tmp, &d->hvs) {
		struct hvc *hvc = xvmc_list_entry(it, struct hvc, conn.node);

		if (hvc->cut == mig->serial) {
			log_line("pid %d did not answer CUT", (int)hvc->conn.pid);
			hvc->cut = 0;
		}
	}
	migrate_say_finish(d, mig->dom, mig->from, mig->old_domid);
	match_moved(d, mig->dom);
	end(mig);
}

/* The board first: doorbells are silent and the incarnation is higher before
 * the first page changes. */
static void instant(struct migration *mig)
{
	struct xvmcd *d = mig->d;
	struct xvmc_list *it, *tmp;

	mig->phase = CUT;
	mig->serial = ++d->serial;
	mig->dom->suspending = true;
	xvmc_lh_dom_move(d->lh, mig->dom, mig->to);
	board_put(d, mig->dom);
	xvmc_list_each(it, tmp, &d->hvs) {
		struct hvc *hvc = xvmc_list_entry(it, struct hvc, conn.node);

		if (!hvc->welcome || hvc->client.dom != mig->dom || conn_dying(&hvc->conn))
			continue;
		hv_send_word(hvc, XVMC_LW_CUT, mig->serial);
		hvc->cut = mig->serial;
		mig->ncuts++;
	}
	if (mig->ncuts == 0)
		finish(mig);
	else
		loop_arm(d->loop, &mig->timer, CUT_WAIT);
}

/* All that can be taken down is: the toolstack may go on, and does. */
static void suspends(struct migration *mig)
{
	mig->phase = CUT;
	loop_arm(mig->d->loop, &mig->timer, XEN_END_WAIT);
	notice_answer(mig->d, mig->dom, mig->number);
}

static void prepared(struct migration *mig)
{
	struct xvmc_list *it, *tmp;

	lap(mig);
	xvmc_list_each(it, tmp, &mig->owed) {
		log_line("a process did not answer PREPARE");
		promise_free(xvmc_list_entry(it, struct promise, node));
	}
	if (mig->how == XVMC_MIGRATE_CANCELLED)
		end(mig);
	else if (mig->how == BY_TOOLSTACK)
		suspends(mig);
	else
		instant(mig);
}

static void ask(struct migration *mig, struct agent *agent)
{
	struct promise *promise = calloc(1, sizeof(*promise));

	if (!promise)
		return; /* it migrates unprepared: nothing is lost */
	promise->mig = mig;
	xvmc_list_add(&mig->owed, &promise->node);
	xvmc_list_add(&agent->owed, &promise->by_agent);
	say(agent, XVMC_AG_PREPARE, mig->dom, mig->old_domid, mig->serial);
}

static void prepare(struct migration *mig)
{
	struct xvmcd *d = mig->d;
	struct xvmc_list *it, *tmp;

	bool by_toolstack = mig->how == BY_TOOLSTACK;

	lap(mig);
	if (mig->how == XVMC_MIGRATE_UNPREPARED) {
		instant(mig);
		return;
	}
	mig->phase = PREPARE;
	mig->serial = ++d->serial;
	mig->dom->suspending = true;
	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		/* What another guest matches is not known here. */
		if (agent->role == XVMC_ROLE_APP && !conn_dying(&agent->conn) &&
		    (by_toolstack || agent->dom == mig->dom || match_touches(agent, mig->dom)))
			ask(mig, agent);
	}
	if (xvmc_list_empty(&mig->owed))
		prepared(mig);
	else
		loop_arm(d->loop, &mig->timer, by_toolstack ? XEN_PREPARE_WAIT : PREPARE_WAIT);
}

/* It neither happens nor is called off: as if it were not, but it is kept
 * until dom0 takes its word back, or it would be begun again. */
static void give_up(struct migration *mig)
{
	log_line("migrate %s: no more is heard of it", mig->dom->name);
	mig->phase = OVER;
	notice_over(mig->d);
	mig->dom->suspending = false;
	match_again(mig->d, mig->dom);
}

static void next_phase(struct timer *timer)
{
	struct migration *mig = xvmc_list_entry(timer, struct migration, timer);

	if (mig->phase == PRECOPY)
		prepare(mig);
	else if (mig->phase == PREPARE)
		prepared(mig);
	else if (mig->how == BY_TOOLSTACK)
		give_up(mig);
	else
		finish(mig);
}

/* keep_con_with_migration: rings stay in use while memory is copied. */
static void precopy(struct migration *mig, uint32_t ms)
{
	struct xvmcd *d = mig->d;
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role == XVMC_ROLE_APP &&
		    (agent->dom->host == mig->from || agent->dom->host == mig->to))
			say(agent, XVMC_AG_KEEP, mig->dom, mig->old_domid, mig->serial);
	}
	xvmc_list_each(it, tmp, &d->hvs) {
		struct hvc *hvc = xvmc_list_entry(it, struct hvc, conn.node);

		if (hvc->welcome && hvc->client.dom == mig->dom)
			hv_send_word(hvc, XVMC_LW_PRECOPY, mig->serial);
	}
	if (mig->how != BY_TOOLSTACK && loop_arm(d->loop, &mig->timer, (uint64_t)ms * MS) < 0)
		prepare(mig);
}

static struct migration *begin(struct xvmcd *d, struct xvmc_lh_dom *dom, uint32_t how)
{
	struct migration *mig = calloc(1, sizeof(*mig));

	if (!mig)
		return NULL;
	mig->d = d;
	mig->dom = dom;
	mig->from = mig->to = dom->host;
	mig->old_domid = dom->domid;
	mig->how = how;
	mig->serial = ++d->serial;
	mig->timer.fire = next_phase;
	mig->since = os_now_ns();
	xvmc_list_init(&mig->owed);
	xvmc_list_add(&d->migrations, &mig->node);
	xvmc_lh_dom_use(dom); /* it must not be dropped meanwhile */
	return mig;
}

void migrate_start(struct agent *tool, const struct xvmc_ag_domop *op)
{
	struct xvmcd *d = tool->conn.d;
	struct xvmc_lh_dom *dom = xvmc_lh_dom_by_name(d->lh, op->domain);
	struct migration *mig = NULL;
	uint32_t to;
	int rc = -ENOENT;

	if (dom)
		rc = find(d, dom) ? -EBUSY : xvmc_lh_host(d->lh, op->host, &to);
	if (rc == 0) {
		mig = begin(d, dom, op->how);
		rc = mig ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		agent_send_hdr(tool, XVMC_AG_END, rc, op->hdr.serial);
		return;
	}
	mig->to = to;
	mig->tool = tool;
	mig->tool_serial = op->hdr.serial;
	precopy(mig, op->precopy_ms);
}

/* ---- by the toolstack ---- */

void migrate_noticed(struct xvmcd *d, struct xvmc_lh_dom *dom, const char *number,
		     bool suspend)
{
	struct migration *mig = find(d, dom);

	if (mig && strcmp(mig->number, number) != 0) {
		end(mig);
		mig = NULL;
	}
	if (!mig) {
		mig = begin(d, dom, BY_TOOLSTACK);
		if (!mig)
			return; /* dom0 waits in vain, and then no longer */
		strcpy(mig->number, number);
		log_line("migrate %s, domid %u: announced", dom->name, dom->domid);
		precopy(mig, 0);
	}
	if (suspend && mig->phase == PRECOPY)
		prepare(mig);
}

void migrate_off(struct xvmcd *d, const struct xvmc_lh_dom *dom)
{
	struct migration *mig = find(d, dom);

	if (mig)
		end(mig);
}

/* ---- answers, and those that will not come ---- */

static void kept(struct promise *promise)
{
	struct migration *mig = promise->mig;

	promise_free(promise);
	if (mig->phase == PREPARE && xvmc_list_empty(&mig->owed))
		prepared(mig);
}

void migrate_prepared(struct agent *agent, uint32_t serial, int status)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &agent->owed) {
		struct promise *promise = xvmc_list_entry(it, struct promise, by_agent);

		if (promise->mig->serial != serial)
			continue;
		/* There is more time than the process knows of. */
		if (status == -EAGAIN && promise->mig->how == BY_TOOLSTACK)
			say(agent, XVMC_AG_PREPARE, promise->mig->dom, promise->mig->old_domid, serial);
		else
			kept(promise);
		return;
	}
}

static void one_cut_less(struct hvc *hvc)
{
	struct xvmc_list *it, *tmp;
	uint32_t serial = hvc->cut;

	hvc->cut = 0;
	xvmc_list_each(it, tmp, &hvc->conn.d->migrations) {
		struct migration *mig = xvmc_list_entry(it, struct migration, node);

		if (mig->phase != CUT || mig->serial != serial)
			continue;
		if (--mig->ncuts == 0)
			finish(mig);
		return;
	}
}

void migrate_cut_done(struct hvc *hvc, uint32_t number)
{
	if (number != 0 && number == hvc->cut)
		one_cut_less(hvc);
}

void migrate_forget_hvc(struct hvc *hvc)
{
	if (hvc->cut != 0)
		one_cut_less(hvc);
}

void migrate_forget_agent(struct agent *agent)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &agent->conn.d->migrations) {
		struct migration *mig = xvmc_list_entry(it, struct migration, node);

		if (mig->tool == agent)
			mig->tool = NULL;
	}
	while (!xvmc_list_empty(&agent->owed))
		kept(xvmc_list_entry(agent->owed.next, struct promise, by_agent));
}
