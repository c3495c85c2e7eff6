/* XID errors. They stand in a file that is only ever appended to, `GPU XID` a line; an event set reads on from where
 * the file ended when the set was made, so that every set sees every later event, once. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

enum { SETS = 64, LONGEST_LINE = 64 };

static struct event_set {
    bool used;
    unsigned int waiting;
    int watch;
    off_t read;
    unsigned long long types[MAX_GPUS];
} sets[SETS];

static const char *events_path(char *buffer, size_t size)
{
    snprintf(buffer, size, "%s.events", state_path());
    return buffer;
}

static bool known(nvmlEventSet_t set)
{
    return set >= sets && set < sets + SETS && set->used;
}

/* Whoever still waits closes the watch. */
static void let_go(nvmlEventSet_t set)
{
    set->used = false;
    if (set->waiting == 0 && set->watch >= 0) {
        close(set->watch);
        set->watch = -1;
    }
}

void events_forget(void)
{
    for (size_t i = 0; i < SETS; i++)
        if (sets[i].used)
            let_go(&sets[i]);
}

/* Files are replaced by others of the same name, so that only their folder can be watched. */
static int watch_folder(void)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", state_path());
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[1] = '\0';
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch >= 0 && inotify_add_watch(watch, slash == NULL ? "." : folder, IN_MODIFY | IN_MOVED_TO) < 0) {
        close(watch);
        watch = -1;
    }
    return watch;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    char path[4200];
    struct stat file;
    nvmlReturn_t result = enter(CALL_nvmlEventSetCreate);
    if (result != NVML_SUCCESS)
        return result;
    for (size_t i = 0; i < SETS; i++)
        if (!sets[i].used && sets[i].waiting == 0) {
            sets[i] = (struct event_set){.used = true, .watch = watch_folder()};
            if (stat(events_path(path, sizeof path), &file) == 0)
                sets[i].read = file.st_size;
            *set = &sets[i];
            return leave(NVML_SUCCESS);
        }
    return leave(NVML_ERROR_MEMORY);
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    nvmlReturn_t result = enter(CALL_nvmlEventSetFree);
    if (result != NVML_SUCCESS)
        return result;
    if (!known(set))
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    let_go(set);
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t handle, unsigned long long types, nvmlEventSet_t set)
{
    struct gpu *gpu;
    unsigned long long supported;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceRegisterEvents, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = number_u64(&gpu->number[N_event_types], &supported);
    if (result == NVML_SUCCESS && !known(set))
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS && (types & ~supported) != 0)
        result = NVML_ERROR_NOT_SUPPORTED;
    if (result == NVML_SUCCESS)
        set->types[gpu->slot] |= types;
    return leave(result);
}

/* Take a whole line from where the set is; false where there is none yet. */
static bool next_line(int file, nvmlEventSet_t set, char *line)
{
    ssize_t size = pread(file, line, LONGEST_LINE - 1, set->read);
    char *end = size > 0 ? memchr(line, '\n', (size_t)size) : NULL;
    if (end == NULL)
        return false;
    *end = '\0';
    set->read += end - line + 1;
    return true;
}

static nvmlReturn_t next_event(nvmlEventSet_t set, nvmlEventData_t *data)
{
    char path[4200], line[LONGEST_LINE];
    nvmlReturn_t result = NVML_ERROR_TIMEOUT;
    int file = open(events_path(path, sizeof path), O_RDONLY | O_CLOEXEC);
    while (file >= 0 && result != NVML_SUCCESS && next_line(file, set, line)) {
        unsigned int slot;
        unsigned long long xid;
        if (sscanf(line, "%u %llu", &slot, &xid) != 2 || slot >= state->count)
            fprintf(stderr, "fake NVML: %s: no such event: %s\n", path, line);
        else if (set->types[slot] & NVML_EVENT_XID_CRITICAL_ERROR) {
            *data = (nvmlEventData_t){gpu_handle(&state->gpu[slot]), NVML_EVENT_XID_CRITICAL_ERROR, xid,
                                      NVML_INSTANCE_NONE, NVML_INSTANCE_NONE};
            result = NVML_SUCCESS;
        }
    }
    if (file >= 0)
        close(file);
    return result;
}

static void wait_for_change(int watch, double seconds)
{
    const double glance = 0.05;
    char changes[4096];
    if (watch < 0) {
        double pause = seconds < glance ? seconds : glance;
        nanosleep(&(struct timespec){0, (long)(pause * 1e9)}, NULL);
        return;
    }
    struct pollfd ready = {.fd = watch, .events = POLLIN};
    int milliseconds = seconds < 2e6 ? (int)(seconds * 1e3) + 1 : -1;
    if (poll(&ready, 1, milliseconds) > 0)
        while (read(watch, changes, sizeof changes) > 0)
            continue;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int milliseconds)
{
    double left, end = seconds_now() + milliseconds / 1e3;
    nvmlReturn_t result = enter(CALL_nvmlEventSetWait_v2);
    if (result != NVML_SUCCESS)
        return result;
    if (!known(set))
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    set->waiting++;
    while ((result = next_event(set, data)) == NVML_ERROR_TIMEOUT && (left = end - seconds_now()) > 0) {
        int watch = set->watch;
        leave(result);
        wait_for_change(watch, left);
        result = look_again();
        if (result == NVML_SUCCESS && !set->used)
            result = NVML_ERROR_INVALID_ARGUMENT;
        if (result != NVML_SUCCESS)
            break;
    }
    set->waiting--;
    if (!set->used)
        let_go(set);
    return leave(result);
}
