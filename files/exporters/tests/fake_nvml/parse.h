/* From the text of the state file to a state; what only the parser's own files need of each other. */
#ifndef FAKE_NVML_PARSE_H
#define FAKE_NVML_PARSE_H

#include "state.h"

/* values.c: false where the text is no such value; then nothing is changed. */
bool parse_error(const char *text, nvmlReturn_t *error);
bool parse_plain(const char *text, double *amount);
bool parse_unsigned(const char *text, unsigned int *value);
bool parse_number(const char *text, double scale, struct number *number);
bool parse_text(const char *text, char *out, size_t room);
bool parse_index(const char **key, unsigned int count, unsigned int *first, unsigned int *last);

/* keys.c: false where the key is unknown or the value none for it. */
bool parse_gpu(struct gpu *gpu, const char *key, const char *value);
bool parse_knob(struct knob *knobs, const char *key, const char *value);
const char *after(const char *text, const char *prefix);

/* presets.c */
const char *preset_known(const char *name);
void preset_apply(struct gpu *gpu);

/* parse.c: split a line in place; false where it is no `key = value`. */
bool split(char *line, char **key, char **value);

#endif
