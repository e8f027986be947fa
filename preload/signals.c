/* SPDX-License-Identifier: MIT */
/*
 * The program's signal handlers, behind one of ours. It lets them run at once,
 * with what the kernel gave it, unless their thread is inside a section
 * (base/section.h): then the signal waits for the section's end, some hundred
 * nanoseconds. It counts them, so that a call that has to sleep twice knows of
 * those between (socket/interrupt.h).
 *
 * The table has the handler and the two flags that the kernel is not given as
 * the program set them; all else the kernel keeps.
 */
#include <string.h>

#include "base/section.h"
#include "preload.h"

typedef void (*handler)(int, siginfo_t *, void *);

/* The flags that are not the kernel's business. */
#define OUR_FLAGS (SA_SIGINFO | (int)SA_RESETHAND)

struct action {
	_Atomic(handler) fn;
	_Atomic int flags;
};

static struct action actions[_NSIG];
static atomic_flag actions_busy = ATOMIC_FLAG_INIT;
/* By this thread: the next library's signal() may call sigaction(), ours. */
static __thread bool actions_mine __attribute__((tls_model("initial-exec")));

/* What the thread did itself: it cannot go on before that is dealt with. */
static bool is_fault(int sig, const siginfo_t *info)
{
	switch (sig) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
	case SIGSYS:
		return info->si_code > 0;
	default:
		return false;
	}
}

static handler handler_of(const struct sigaction *act)
{
	/* The two members are one place. */
	return act->sa_sigaction;
}

static bool is_function(const struct sigaction *act)
{
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
}

/* SA_RESETHAND, as the kernel does it: flags and mask stay. */
static void reset(int sig, int flags)
{
	struct sigaction act;

	if (REAL(sigaction)(sig, NULL, &act) != 0 || !is_function(&act))
		return;
	act.sa_handler = SIG_DFL;
	act.sa_flags = (act.sa_flags & ~OUR_FLAGS) | (flags & OUR_FLAGS);
	REAL(sigaction)(sig, &act, NULL);
}

/* Every handler gets three arguments: one that was made for one ignores two. */
static void trampoline(int sig, siginfo_t *info, void *where)
{
	struct xvmc_section *s = &xvmc_section;
	ucontext_t *uc = where;
	int flags;

	if (s->depth && !is_fault(sig, info)) {
		/* One is enough: until it has run, all others are blocked. */
		s->sig = sig;
		s->info = *info;
		memcpy(&s->mask, &uc->uc_sigmask, sizeof(s->mask));
		memset(&uc->uc_sigmask, 0xff, sizeof(s->mask));
		s->held = true;
		return;
	}
	flags = atomic_load(&actions[sig].flags);
	if (flags & (int)SA_RESETHAND)
		reset(sig, flags);
	s->ran = s->ran + 1;
	if (!(flags & SA_RESTART))
		s->ran_hard = s->ran_hard + 1;
	atomic_load(&actions[sig].fn)(sig, info, where);
	xvmc_sock_resume(where);
}

/* All signals of the thread are blocked while it has the table. False: it has
 * it already, and keeps it. */
static bool table_lock(uint64_t *old)
{
	uint64_t all = ~0ull;

	if (actions_mine)
		return false;
	OS4(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, sizeof(all));
	while (atomic_flag_test_and_set_explicit(&actions_busy, memory_order_acquire))
		;
	actions_mine = true;
	return true;
}

static void table_unlock(const uint64_t *old)
{
	actions_mine = false;
	atomic_flag_clear_explicit(&actions_busy, memory_order_release);
	OS4(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(*old));
}

void preload_signals_fork_child(void)
{
	/* Another thread of the parent's may have had it. What it was writing
	 * is one word after the other, each right by itself. */
	atomic_flag_clear(&actions_busy);
}

/* What the program shall see of what the kernel has. */
static void translate(struct sigaction *act, handler fn, int flags)
{
	if (handler_of(act) != trampoline)
		return;
	act->sa_sigaction = fn;
	act->sa_flags = (act->sa_flags & ~OUR_FLAGS) | (flags & OUR_FLAGS);
}

static int bind_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct action *a = &actions[sig];
	handler fn = atomic_load(&a->fn);
	int flags = atomic_load(&a->flags), r;
	struct sigaction ours;

	if (act) {
		ours = *act;
		if (is_function(act)) {
			atomic_store(&a->fn, handler_of(act));
			atomic_store(&a->flags, act->sa_flags);
			ours.sa_sigaction = trampoline;
			ours.sa_flags |= SA_SIGINFO;
			ours.sa_flags &= ~(int)SA_RESETHAND;
		}
	}
	r = REAL(sigaction)(sig, act ? &ours : NULL, old);
	if (r < 0 && act && is_function(act)) {
		atomic_store(&a->fn, fn);
		atomic_store(&a->flags, flags);
	}
	if (r == 0 && old)
		translate(old, fn, flags);
	return r;
}

/* Whose memory is not this process's alone has no table to write to. */
static bool ours_to_bind(int sig)
{
	return sig > 0 && sig < _NSIG && tables_are_ours(the_ctx());
}

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	uint64_t mask;
	bool taken;
	int r;

	if (!ours_to_bind(sig)) {
		r = REAL(sigaction)(sig, act, old);
		if (r == 0 && old && sig > 0 && sig < _NSIG)
			translate(old, atomic_load(&actions[sig].fn),
				  atomic_load(&actions[sig].flags));
		return r;
	}
	taken = table_lock(&mask);
	r = bind_action(sig, act, old);
	if (taken)
		table_unlock(&mask);
	return r;
}

/*
 * The older calls know what they make of a signal (BSD or System V, and what
 * siginterrupt said): libc's own does it, then the handler is put behind ours.
 */
static old_handler adopt(int sig, sym_signal real, old_handler fn)
{
	struct sigaction now;
	old_handler was;
	handler before;
	uint64_t mask;
	bool taken;

	if (!ours_to_bind(sig))
		return real(sig, fn);
	taken = table_lock(&mask);
	before = atomic_load(&actions[sig].fn);
	was = real(sig, fn);
	if (was != SIG_ERR && REAL(sigaction)(sig, NULL, &now) == 0 &&
	    is_function(&now) && handler_of(&now) != trampoline)
		bind_action(sig, &now, NULL);
	if (taken)
		table_unlock(&mask);
	now.sa_handler = was;
	if (handler_of(&now) == trampoline)
		now.sa_sigaction = before;
	return now.sa_handler;
}

EXPORT old_handler signal(int sig, old_handler fn)
{
	return adopt(sig, REAL(signal), fn);
}

EXPORT old_handler sysv_signal(int sig, old_handler fn)
{
	return adopt(sig, REAL(sysv_signal), fn);
}

/* What the kernel has, as the program set it. */
static old_handler handler_now(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 ? now.sa_handler : SIG_ERR;
}

/*
 * This one looks at the thread's mask and takes the signal out of it, so the
 * table's lock, which blocks all, must not be around it.
 */
EXPORT old_handler sigset(int sig, old_handler fn)
{
	struct sigaction act = { .sa_handler = fn }, old;
	uint64_t one, mask;

	if (!ours_to_bind(sig) || fn == SIG_ERR)
		return REAL(sigset)(sig, fn);
	if (fn == SIG_HOLD) {
		old.sa_handler = handler_now(sig);
		return REAL(sigset)(sig, fn) == SIG_HOLD ? SIG_HOLD : old.sa_handler;
	}
	if (sigaction(sig, &act, &old) != 0)
		return SIG_ERR;
	one = 1ull << (sig - 1);
	OS4(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, &mask, sizeof(mask));
	return mask & one ? SIG_HOLD : old.sa_handler;
}

EXPORT int siginterrupt(int sig, int yes)
{
	int r = REAL(siginterrupt)(sig, yes);

	if (r == 0 && ours_to_bind(sig)) {
		if (yes)
			atomic_fetch_and(&actions[sig].flags, ~SA_RESTART);
		else
			atomic_fetch_or(&actions[sig].flags, SA_RESTART);
	}
	return r;
}

old_handler bsd_signal(int sig, old_handler fn);
old_handler ssignal(int sig, old_handler fn);
old_handler __sysv_signal(int sig, old_handler fn);
int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
EXPORT old_handler bsd_signal(int sig, old_handler fn) ALIAS_OF(signal);
EXPORT old_handler ssignal(int sig, old_handler fn) ALIAS_OF(signal);
EXPORT old_handler __sysv_signal(int sig, old_handler fn) ALIAS_OF(sysv_signal);
EXPORT int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
	ALIAS_OF(sigaction);
