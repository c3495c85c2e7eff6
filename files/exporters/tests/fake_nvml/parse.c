/* The lines of the state file into a state: sizes and models first, then all else in the order of writing. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

enum { DEFAULT_GPUS = 8 };

struct line {
    unsigned int number;
    char *key, *value;
};

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

bool split(char *line, char **key, char **value)
{
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return false;
    *equals = '\0';
    *key = trim(line);
    *value = trim(equals + 1);
    return **key != '\0';
}

static void complain(unsigned int line, const char *problem, const char *text)
{
    fprintf(stderr, "fake NVML: %s line %u: %s: %.120s\n", state_path(), line, problem, text);
}

static struct line *read_lines(char *text, size_t *count)
{
    size_t room = 1;
    for (const char *byte = text; *byte != '\0'; byte++)
        room += *byte == '\n';
    struct line *lines = calloc(room, sizeof *lines);
    *count = 0;
    char *next = text;
    for (unsigned int number = 1; lines != NULL && next != NULL; number++) {
        char *line = next;
        if ((next = strchr(line, '\n')) != NULL)
            *next++ = '\0';
        line = trim(line);
        struct line *read = &lines[*count];
        if (*line == '\0' || *line == '#')
            continue;
        if (split(line, &read->key, &read->value)) {
            read->number = number;
            ++*count;
        } else {
            complain(number, "not of the form key = value", line);
        }
    }
    return lines;
}

static unsigned int count_gpus(const struct line *lines, size_t count)
{
    unsigned int gpus = DEFAULT_GPUS, told;
    for (size_t i = 0; i < count; i++)
        if (strcmp(lines[i].key, "count") == 0) {
            if (parse_unsigned(lines[i].value, &told) && told <= MAX_GPUS)
                gpus = told;
            else
                complain(lines[i].number, "expected a count from 0 to 16", lines[i].value);
        }
    return gpus;
}

static void choose_models(struct state *state, const struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned int first = 0, last = state->count;
        const char *key = after(lines[i].key, "gpu.");
        if (key != NULL ? !parse_index(&key, state->count, &first, &last) || strcmp(key, "model") != 0
                        : strcmp(lines[i].key, "model") != 0)
            continue;
        const char *model = preset_known(lines[i].value);
        if (model == NULL)
            complain(lines[i].number, "expected the model h200, a100 or consumer", lines[i].value);
        for (unsigned int gpu = first; model != NULL && gpu < last; gpu++)
            state->gpu[gpu].model = model;
    }
}

static bool apply_gpus(struct state *state, const char *key, const char *value)
{
    unsigned int first, last;
    if (!parse_index(&key, state->count, &first, &last))
        return false;
    if (strcmp(key, "model") == 0)
        return true;
    for (unsigned int gpu = first; gpu < last; gpu++)
        if (!parse_gpu(&state->gpu[gpu], key, value))
            return false;
    return true;
}

/* `13.1` is 13010 to NVML. */
static bool parse_cuda(const char *value, unsigned int *cuda)
{
    unsigned int major, minor;
    char rest;
    if (sscanf(value, "%u.%u%c", &major, &minor, &rest) != 2)
        return false;
    *cuda = major * 1000 + minor * 10;
    return true;
}

static bool apply(struct state *state, const char *key, const char *value)
{
    const char *rest = after(key, "gpu.");
    if (rest != NULL)
        return apply_gpus(state, rest, value);
    if ((rest = after(key, "call.")) != NULL)
        return parse_knob(state->knob, rest, value);
    if (strcmp(key, "driver") == 0)
        return parse_text(value, state->driver, TEXT_SIZE);
    if (strcmp(key, "nvml") == 0)
        return parse_text(value, state->nvml, TEXT_SIZE);
    if (strcmp(key, "cuda") == 0)
        return parse_cuda(value, &state->cuda);
    if (strcmp(key, "delay_us") == 0)
        return parse_plain(value, &state->delay);
    if (strcmp(key, "generation") == 0)
        return parse_unsigned(value, &state->generation);
    if (strcmp(key, "init.error") == 0)
        return parse_error(value, &state->init_error);
    return strcmp(key, "count") == 0 || strcmp(key, "model") == 0;
}

static void follow(struct number *number, const struct number *other, double offset, double factor)
{
    if (!number->automatic)
        return;
    number->error = other->error;
    number->base = offset + factor * other->base;
}

/* What is `auto` follows from other values, once these are known. */
static void derive(struct gpu *gpu)
{
    struct number *number = gpu->number;
    follow(&number[N_power_average], &number[N_power], 0, 1);
    follow(&number[N_power_instant], &number[N_power], 0, 1);
    follow(&number[N_temperature_margin], &number[N_temperature], number[N_threshold_gpu_max].base, -1);
    if (number[N_energy].automatic)
        number[N_energy].rate = number[N_power].error == NVML_SUCCESS ? number[N_power].base : 0;
    for (unsigned int i = 0; i < MAX_MIGS; i++) {
        struct mig *mig = &gpu->mig[i];
        unsigned int slices = 1, gigabytes = 10;
        sscanf(mig->text[MT_profile], "%ug.%ugb", &slices, &gigabytes);
        if (mig->number[M_slices].automatic)
            mig->number[M_slices].base = slices;
        if (mig->number[M_memory_total].automatic)
            mig->number[M_memory_total].base = gigabytes * 1e9;
    }
}

static void name_gpu(struct gpu *gpu, unsigned int slot)
{
    /* Where the eight GPUs of an HGX board usually are; a second board in the next domain. */
    static const unsigned char buses[] = {0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF};
    gpu->slot = slot;
    gpu->present = true;
    gpu->number[N_minor].base = slot;
    snprintf(gpu->text[T_uuid], TEXT_SIZE, "GPU-fa4e0000-0000-4000-8000-0000000000%02x", slot);
    snprintf(gpu->text[T_serial], TEXT_SIZE, "16500230000%02u", slot);
    snprintf(gpu->text[T_pci_bus_id], TEXT_SIZE, "%08X:%02X:00.0", slot / 8, buses[slot % 8]);
}

struct state *parse(char *text)
{
    size_t count;
    struct line *lines = read_lines(text, &count);
    unsigned int gpus = lines == NULL ? 0 : count_gpus(lines, count);
    struct state *parsed = calloc(1, sizeof *parsed + gpus * sizeof *parsed->gpu);
    if (lines == NULL || parsed == NULL)
        abort();
    parsed->count = gpus;
    parsed->generation = 1;
    parsed->cuda = 13010;
    strcpy(parsed->driver, "590.48.01");
    strcpy(parsed->nvml, "13.590.48.01");
    for (unsigned int i = 0; i < gpus; i++) {
        name_gpu(&parsed->gpu[i], i);
        parsed->gpu[i].model = preset_known("h200");
    }
    choose_models(parsed, lines, count);
    for (unsigned int i = 0; i < gpus; i++)
        preset_apply(&parsed->gpu[i]);
    for (size_t i = 0; i < count; i++)
        if (!apply(parsed, lines[i].key, lines[i].value))
            complain(lines[i].number, "unknown key or value", lines[i].key);
    for (unsigned int i = 0; i < gpus; i++)
        derive(&parsed->gpu[i]);
    free(lines);
    return parsed;
}
