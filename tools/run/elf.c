/* SPDX-License-Identifier: MIT */
/*
 * Reading ELF headers of this machine's class and byte order. Files may be
 * anything: every length is checked and bounded before it is used.
 */
#include "elf.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#define MAX_HEADERS 1024u
#define MAX_NOTES 4096u

#if __BYTE_ORDER == __LITTLE_ENDIAN
#define HOST_DATA ELFDATA2LSB
#else
#define HOST_DATA ELFDATA2MSB
#endif
#define HOST_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

static bool get(int fd, void *buf, size_t n, uint64_t pos)
{
	return pos <= INT64_MAX && pread(fd, buf, n, (off_t)pos) == (ssize_t)n;
}

/* The linker of the Go tool chain leaves notes with this name. */
static bool notes_of_go(int fd, uint64_t pos, uint64_t size)
{
	uint8_t buf[MAX_NOTES];
	size_t n = size < sizeof(buf) ? (size_t)size : sizeof(buf), at = 0;

	if (!get(fd, buf, n, pos))
		return false;
	while (n - at >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) h;
		size_t name, desc;

		memcpy(&h, buf + at, sizeof(h));
		at += sizeof(h);
		name = ((size_t)h.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)h.n_descsz + 3) & ~(size_t)3;
		if (name > n - at)
			return false;
		if (h.n_namesz == 4 && !memcmp(buf + at, "Go\0", 4))
			return true;
		at += name;
		if (desc > n - at)
			return false;
		at += desc;
	}
	return false;
}

static void read_segments(int fd, const ElfW(Ehdr) *eh, struct elf_info *info)
{
	for (unsigned int i = 0; i < eh->e_phnum && i < MAX_HEADERS; i++) {
		ElfW(Phdr) ph;

		if (!get(fd, &ph, sizeof(ph), eh->e_phoff + (uint64_t)i * sizeof(ph)))
			return;
		if (ph.p_type == PT_INTERP) {
			info->has_interp = true;
			if (ph.p_filesz > 0 &&
			    ph.p_filesz < sizeof(info->interp) &&
			    !get(fd, info->interp, ph.p_filesz, ph.p_offset))
				info->interp[0] = 0;
		} else if (ph.p_type == PT_NOTE) {
			info->go |= notes_of_go(fd, ph.p_offset, ph.p_filesz);
		}
	}
}

/* By the section's name too: some links drop the note segment. */
static void read_sections(int fd, const ElfW(Ehdr) *eh, struct elf_info *info)
{
	static const char want[] = ".note.go.buildid";
	ElfW(Shdr) names, sh;
	char name[sizeof(want)];

	if (eh->e_shentsize != sizeof(sh) || eh->e_shstrndx >= eh->e_shnum ||
	    !get(fd, &names, sizeof(names),
		 eh->e_shoff + (uint64_t)eh->e_shstrndx * sizeof(sh)))
		return;
	for (unsigned int i = 0; i < eh->e_shnum && i < MAX_HEADERS; i++) {
		if (!get(fd, &sh, sizeof(sh), eh->e_shoff + (uint64_t)i * sizeof(sh)))
			return;
		if (sh.sh_name >= names.sh_size)
			continue;
		if (get(fd, name, sizeof(name), names.sh_offset + sh.sh_name) &&
		    !memcmp(name, want, sizeof(want)))
			info->go = true;
	}
}

static int read_headers(int fd, struct elf_info *info)
{
	ElfW(Ehdr) eh;

	memset(&eh, 0, sizeof(eh));
	if (!get(fd, &eh, EI_NIDENT + 4, 0) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	info->class = eh.e_ident[EI_CLASS];
	info->data = eh.e_ident[EI_DATA];
	info->machine = eh.e_machine;
	info->foreign = info->class != HOST_CLASS || info->data != HOST_DATA;
	if (info->foreign)
		return 0;
	if (!get(fd, &eh, sizeof(eh), 0) ||
	    (eh.e_phnum && eh.e_phentsize != sizeof(ElfW(Phdr))))
		return -ENOEXEC;
	read_segments(fd, &eh, info);
	read_sections(fd, &eh, info);
	return 0;
}

int elf_read(const char *path, struct elf_info *ret_info)
{
	struct elf_info info = { 0 };
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read_headers(fd, &info);
	close(fd);
	if (rc == 0)
		*ret_info = info;
	return rc;
}
