/* The keys of a GPU. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

struct table {
    const char *name;
    double scale;
};

#define X(name, scale) {#name, scale},
static const struct table gpu_numbers[] = {GPU_NUMBERS(X)};
static const struct table link_numbers[] = {LINK_NUMBERS(X)};
static const struct table mig_numbers[] = {MIG_NUMBERS(X)};
#undef X
#define X(name) {#name, 0},
static const struct table gpu_texts[] = {GPU_TEXTS(X)};
static const struct table mig_texts[] = {MIG_TEXTS(X)};
#undef X

static int find(const struct table *table, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}

const char *after(const char *key, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(key, prefix, size) == 0 ? key + size : NULL;
}

bool parse_knob(struct knob *knobs, const char *key, const char *value)
{
    const char *what = strchr(key, '.');
    for (int call = 0; what != NULL && call < CALL_COUNT; call++) {
        if (strlen(call_names[call]) != (size_t)(what - key) || after(key, call_names[call]) == NULL)
            continue;
        if (strcmp(what, ".error") == 0)
            return parse_error(value, &knobs[call].error);
        if (strcmp(what, ".hang") == 0)
            return parse_plain(value, &knobs[call].hang);
    }
    return false;
}

static bool parse_gpm(struct number *gpm, const char *key, const char *value)
{
    unsigned int metric;
    return parse_unsigned(key, &metric) && metric < MAX_GPM && parse_number(value, 1, &gpm[metric]);
}

static bool parse_link(struct gpu *gpu, const char *key, const char *value)
{
    unsigned int first, last;
    if (!parse_index(&key, MAX_LINKS, &first, &last))
        return false;
    int number = find(link_numbers, L_COUNT, key);
    for (unsigned int link = first; number >= 0 && link < last; link++)
        if (!parse_number(value, link_numbers[number].scale, &gpu->link[link][number]))
            return false;
    return number >= 0;
}

static void begin_mig(const struct gpu *gpu, struct mig *mig, unsigned int index)
{
    mig->present = true;
    mig->index = index;
    mig->number[M_gpu_instance].base = index + 1;
    mig->number[M_multiprocessors].base = 14;
    mig->number[M_slices].automatic = mig->number[M_memory_total].automatic = true;
    snprintf(mig->text[MT_uuid], TEXT_SIZE, "MIG-fa4e0000-0000-4000-8000-00000000%02x%02x", gpu->slot, index);
    snprintf(mig->text[MT_profile], TEXT_SIZE, "1g.10gb");
    memcpy(mig->gpm, gpu->gpm, sizeof mig->gpm);
}

static bool parse_mig(struct gpu *gpu, const char *key, const char *value)
{
    unsigned int first, last;
    if (!parse_index(&key, MAX_MIGS, &first, &last) || last != first + 1)
        return false;
    struct mig *mig = &gpu->mig[first];
    if (!mig->present)
        begin_mig(gpu, mig, first);
    const char *gpm = after(key, "gpm.");
    if (gpm != NULL)
        return parse_gpm(mig->gpm, gpm, value);
    if (strcmp(key, "present") == 0) {
        mig->present = strcmp(value, "0") != 0;
        return true;
    }
    int number = find(mig_numbers, M_COUNT, key), text = find(mig_texts, MT_COUNT, key);
    if (number >= 0)
        return parse_number(value, mig_numbers[number].scale, &mig->number[number]);
    return text >= 0 && parse_text(value, mig->text[text], TEXT_SIZE);
}

static struct process *process_of(struct gpu *gpu, unsigned int pid)
{
    for (unsigned int i = gpu->process_count; i > 0; i--)
        if (gpu->processes[i - 1].pid == pid)
            return &gpu->processes[i - 1];
    if (gpu->process_count == gpu->process_room) {
        unsigned int room = gpu->process_room * 2 + 8;
        struct process *more = realloc(gpu->processes, room * sizeof *more);
        if (more == NULL)
            abort();
        gpu->processes = more;
        gpu->process_room = room;
    }
    struct process *process = &gpu->processes[gpu->process_count++];
    *process = (struct process){.pid = pid, .mig = MAX_MIGS, .name = "python3"};
    return process;
}

static bool parse_process(struct gpu *gpu, const char *key, const char *value)
{
    unsigned int first, last;
    double amount;
    if (!parse_index(&key, 1u << 31, &first, &last) || last != first + 1)
        return false;
    struct process *process = process_of(gpu, first);
    if (strcmp(key, "memory") == 0 && strcmp(value, "unavailable") == 0) {
        process->memory = NVML_VALUE_NOT_AVAILABLE;
    } else if (strcmp(key, "memory") == 0) {
        if (!parse_plain(value, &amount) || amount < 0 || amount > 9e18)
            return false;
        process->memory = (unsigned long long)amount;
    } else if (strcmp(key, "name") == 0) {
        return parse_text(value, process->name, TEXT_SIZE);
    } else if (strcmp(key, "kind") == 0) {
        process->graphics = strcmp(value, "graphics") == 0;
        return process->graphics || strcmp(value, "compute") == 0;
    } else {
        unsigned int *number = strcmp(key, "sm") == 0                   ? &process->sm
                               : strcmp(key, "memory_utilization") == 0 ? &process->memory_utilization
                               : strcmp(key, "mig") == 0                ? &process->mig
                                                                        : NULL;
        return number != NULL && parse_unsigned(value, number);
    }
    return true;
}

static bool may_be_automatic(int number)
{
    return number == N_energy || number == N_power_average || number == N_power_instant ||
           number == N_temperature_margin;
}

bool parse_gpu(struct gpu *gpu, const char *key, const char *value)
{
    const char *rest;
    if ((rest = after(key, "process.")) != NULL)
        return parse_process(gpu, rest, value);
    if ((rest = after(key, "link.")) != NULL)
        return parse_link(gpu, rest, value);
    if ((rest = after(key, "gpm.")) != NULL)
        return parse_gpm(gpu->gpm, rest, value);
    if ((rest = after(key, "mig.")) != NULL)
        return parse_mig(gpu, rest, value);
    if ((rest = after(key, "call.")) != NULL)
        return parse_knob(gpu->knob, rest, value);
    int number = find(gpu_numbers, N_COUNT, key), text = find(gpu_texts, T_COUNT, key);
    if (number >= 0)
        return parse_number(value, gpu_numbers[number].scale, &gpu->number[number]) &&
               (!gpu->number[number].automatic || may_be_automatic(number));
    if (text >= 0)
        return parse_text(value, gpu->text[text], TEXT_SIZE);
    double amount;
    if (strcmp(key, "process_drift") == 0 && parse_plain(value, &amount) && fabs(amount) < 1e6) {
        gpu->process_drift = (int)amount;
        return true;
    }
    if (strcmp(key, "present") == 0) {
        gpu->present = strcmp(value, "0") != 0;
        return true;
    }
    return strcmp(key, "error") == 0 && parse_error(value, &gpu->error);
}
