/* SPDX-License-Identifier: MIT */
#include "section.h"

#include "os.h"

__thread struct xvmc_section xvmc_section
	__attribute__((tls_model("initial-exec")));

void xvmc_section_release(void)
{
	struct xvmc_section *s = &xvmc_section;
	uint64_t mask = s->mask;

	/* Everything is blocked until the mask is back. The queue may be full:
	 * then at least the signal itself. */
	if (OS4(SYS_rt_tgsigqueueinfo, os_getpid(), os_gettid(), s->sig, &s->info) < 0)
		OS3(SYS_tgkill, os_getpid(), os_gettid(), s->sig);
	s->held = false;
	OS4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

void xvmc_section_fork_child(void)
{
	struct xvmc_section *s = &xvmc_section;
	uint64_t mask = s->mask;

	s->depth = 0;
	if (!s->held)
		return;
	s->held = false;
	OS4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}
