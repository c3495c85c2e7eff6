/* Where the state file is, and when it is read again. */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "state.h"

struct state *state;
static struct stat seen;
static char path[4096];

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void locate(void)
{
    const char *told = getenv("FAKE_NVML_STATE");
    Dl_info library;
    if (told != NULL && *told != '\0') {
        snprintf(path, sizeof path, "%s", told);
    } else if (dladdr(&state, &library) != 0) {
        const char *slash = strrchr(library.dli_fname, '/');
        int folder = slash == NULL ? 0 : (int)(slash - library.dli_fname + 1);
        snprintf(path, sizeof path, "%.*sstate", folder, library.dli_fname);
    }
}

const char *state_path(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, locate);
    return path;
}

/* Without a file the state is that of an empty one. */
static char *read_file(void)
{
    FILE *file = fopen(state_path(), "r");
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room);
    while (file != NULL && text != NULL) {
        size += fread(text + size, 1, room - size - 1, file);
        if (feof(file) || ferror(file))
            break;
        text = realloc(text, room *= 2);
    }
    if (file != NULL)
        fclose(file);
    if (text != NULL)
        text[size] = '\0';
    return text;
}

/* What grew stays grown when the file changes elsewhere, so that counters don't fall. */
static void carry(struct number *next, const struct number *before, size_t count, double elapsed)
{
    for (size_t i = 0; i < count; i++)
        if (next[i].growing && before[i].growing && next[i].base == before[i].base)
            next[i].grown = before[i].grown + before[i].rate * elapsed;
}

static void replace(struct state *next)
{
    next->loaded = seconds_now();
    for (unsigned int i = 0; state != NULL && i < state->count; i++) {
        struct gpu *before = &state->gpu[i], *gpu = &next->gpu[i];
        double elapsed = next->loaded - state->loaded;
        if (i < next->count) {
            carry(gpu->number, before->number, N_COUNT, elapsed);
            carry(&gpu->link[0][0], &before->link[0][0], (size_t)MAX_LINKS * L_COUNT, elapsed);
        }
        free(before->processes);
    }
    free(state);
    state = next;
}

static bool same(const struct stat *one, const struct stat *other)
{
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev && one->st_size == other->st_size &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

void state_refresh(void)
{
    struct stat now;
    if (stat(state_path(), &now) != 0)
        memset(&now, 0, sizeof now);
    if (state == NULL || !same(&now, &seen)) {
        char *text = read_file();
        struct state *next = text == NULL ? NULL : parse(text);
        free(text);
        if (next == NULL)
            abort();
        seen = now;
        replace(next);
    }
    state->elapsed = seconds_now() - state->loaded;
}

nvmlReturn_t number_read(const struct number *number, double *value)
{
    *value = number->base;
    if (number->growing)
        *value += number->grown + number->rate * state->elapsed;
    return number->error;
}

nvmlReturn_t number_u64(const struct number *number, unsigned long long *value)
{
    double exact;
    nvmlReturn_t result = number_read(number, &exact);
    if (exact >= 18446744073709549568.0)
        *value = NVML_VALUE_NOT_AVAILABLE;
    else if (exact < 0)
        *value = (unsigned long long)(long long)(exact - 0.5);
    else
        *value = (unsigned long long)(exact + 0.5);
    return result;
}

nvmlReturn_t number_u32(const struct number *number, unsigned int *value)
{
    unsigned long long wide;
    nvmlReturn_t result = number_u64(number, &wide);
    *value = (unsigned int)wide;
    return result;
}
