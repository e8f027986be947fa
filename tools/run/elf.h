/* SPDX-License-Identifier: MIT */
/*
 * What an executable's ELF headers say about whether ld.so will load a
 * preloaded library into it, and whether the library will see its calls.
 * Reads headers, runs nothing.
 */
#ifndef XVMC_RUN_ELF_H
#define XVMC_RUN_ELF_H

#include <stdbool.h>
#include <stdint.h>

struct elf_info {
	uint8_t class;    /* ELFCLASS32, ELFCLASS64 */
	uint8_t data;     /* byte order */
	uint16_t machine; /* EM_* */
	bool foreign;     /* not of this machine: nothing below is filled in */
	bool has_interp;  /* ld.so runs it: it is not static */
	char interp[256];
	bool go; /* built by the Go tool chain */
};

/* -ENOEXEC: no ELF file, or a damaged one; else -errno. */
int elf_read(const char *path, struct elf_info *ret_info);

#endif
