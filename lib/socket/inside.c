/* SPDX-License-Identifier: MIT */
/*
 * inside.h: whose calls are in the kernel, and how one that was passed comes
 * out again. At the handler's end the thread either goes back to the system call
 * it was interrupted at: then that is answered with EINTR instead; or it has left
 * it; or, a few instructions long, it has yet to make it: then the peer is asked
 * to leave its ring, and what it writes by TCP wakes the call.
 */
#include "inside.h"

#include "base/context.h"
#include "poll.h"
#include "stream.h"

__thread struct inside *inside_innermost __attribute__((tls_model("initial-exec")));

/* How often a call has entered ep's gate: a poll once for each time that the
 * program named it. */
static uint32_t entered(const struct inside *in, const struct xvmc_endpoint *ep)
{
	uint32_t n = 0;

	if (in->reader)
		return in->reader->ep == ep;
	for (size_t i = 0; i < in->poll->nent; i++)
		n += in->poll->ent[i].gated && in->poll->ent[i].ep == ep;
	return n;
}

bool inside_others(struct xvmc_endpoint *ep)
{
	uint32_t count = atomic_load(&ep->rx_gate) & XVMC_GATE_COUNT, n;
	struct inside *reader = NULL, *in;

	if (!count)
		return false;
	for (in = inside_innermost; in; in = in->outer) {
		n = entered(in, ep);
		count -= n;
		if (!n || !in->reader)
			continue;
		/* Which of two has taken how much, nobody knows. */
		if (reader)
			return true;
		reader = in;
	}
	if (count || (reader && !visit_settle(reader->reader)))
		return true;
	for (in = inside_innermost; in; in = in->outer)
		in->passed = in->passed || entered(in, ep);
	return false;
}

static void bring_back(struct xvmc_endpoint *ep)
{
	ep->passed = true;
	xvmc_service_kick(ep);
}

void xvmc_sock_resume(void *context)
{
	static const long calls[] = { SYS_recvfrom, SYS_recvmsg, SYS_ppoll };
	const struct inside *in = inside_innermost;

	if (!in || !in->passed || xvmc_context_interrupt(context, calls, 3))
		return;
	if (in->reader) {
		in->reader->ep->recv_passed = true;
		bring_back(in->reader->ep);
		return;
	}
	for (size_t i = 0; i < in->poll->nent; i++)
		if (in->poll->ent[i].gated)
			bring_back(in->poll->ent[i].ep);
}
