// words counts the lines and words of its standard input, or of the files that it is given, and says so as wc does.
//
//     clang --target=wasm32-wasi -Os -Wl,--strip-all -o words.wasm words.c
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count(FILE *f, const char *name) {
	long lines = 0, words = 0;
	int in = 0, c;
	while ((c = getc(f)) != EOF) {
		if (c == '\n') lines++;
		if (isspace(c)) in = 0;
		else if (!in) in = 1, words++;
	}
	return printf("%ld %ld %s\n", lines, words, name) < 0;
}

int main(int argc, char **argv) {
	if (argc > 1 && strcmp(argv[1], "-spin") == 0)
		for (volatile unsigned i = 0;; i++) {}
	static char *volatile kept;
	if (argc > 1 && strcmp(argv[1], "-eat") == 0)
		for (;;) {
			char *p = malloc(1 << 20);
			if (!p) {
				fprintf(stderr, "out of memory\n");
				return 9;
			}
			kept = memset(p, 1, 1 << 20);
		}
	if (argc == 1) return count(stdin, "-");
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "r");
		if (!f) {
			fprintf(stderr, "words: cannot open %s\n", argv[i]);
			return 1;
		}
		if (count(f, argv[i])) return 1;
		fclose(f);
	}
	return 0;
}
