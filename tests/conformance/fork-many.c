/* SPDX-License-Identifier: MIT */
/* A server that forks with each of many connections is none the larger for it. */
#include "serve.h"

#define CONNECTIONS 200

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int n = 0, c;

	if (!f)
		conf_die("maps");
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void one(int lfd, const struct sockaddr_in *sa, const char *script)
{
	pid_t client = serve_client(sa, script), child;
	int fd = serve_accept(lfd), status[2];

	child = conf_fork();
	if (child == 0) {
		for (; *script; script++) {
			if (*script == 'w')
				conf_warm_server(fd);
			else
				serve_trips(fd);
		}
		serve_end(fd);
	}
	close(fd);
	waitpid(client, &status[0], 0);
	waitpid(child, &status[1], 0);
	if (status[0] || status[1])
		conf_say("client %#x, child %#x", (unsigned int)status[0],
			 (unsigned int)status[1]);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), before;

	one(lfd, &sa, "wt");
	before = mappings();
	for (int i = 0; i < CONNECTIONS; i++)
		one(lfd, &sa, "");
	conf_say("more mappings: %s", mappings() > before + 20 ? "yes" : "no");
	return 0;
}
