/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#if defined(__x86_64__)
#define INSN_LEN 2u
static const uint8_t insn[INSN_LEN] = { 0x0f, 0x05 }; /* syscall */
#define PC(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define NUMBER(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#define RESULT(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#define WORD greg_t
#elif defined(__aarch64__)
#define INSN_LEN 4u
static const uint8_t insn[INSN_LEN] = { 0x01, 0x00, 0x00, 0xd4 }; /* svc 0 */
#define PC(uc) ((uc)->uc_mcontext.pc)
#define NUMBER(uc) ((uc)->uc_mcontext.regs[8])
#define RESULT(uc) ((uc)->uc_mcontext.regs[0])
#define WORD unsigned long long
#endif

#define PAGE_MIN 4096u

static bool is_call(uintptr_t at)
{
	uint8_t there[INSN_LEN];

	/* The code of the program, which is not ours to align. */
	memcpy(there, (const void *)at, sizeof(there));
	return memcmp(there, insn, sizeof(insn)) == 0;
}

bool xvmc_context_interrupt(void *context, const long *calls, size_t ncalls)
{
	ucontext_t *uc = context;
	uintptr_t pc = (uintptr_t)PC(uc);

	/* Only what the thread has run, or is to run, is sure to be mapped: not
	 * what lies across a page's edge. */
	if (pc % PAGE_MIN >= INSN_LEN && is_call(pc - INSN_LEN))
		return true;
	if (pc % PAGE_MIN > PAGE_MIN - INSN_LEN || !is_call(pc))
		return false;
	for (size_t i = 0; i < ncalls; i++) {
		if ((long)NUMBER(uc) != calls[i])
			continue;
		RESULT(uc) = (WORD)-EINTR;
		PC(uc) += (WORD)INSN_LEN;
		return true;
	}
	return false;
}
