/* What all calls share: counting, waiting, the session, handles. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

#define X(name) #name,
const char *const call_names[CALL_COUNT] = {CALLS(X)};
#undef X

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int references, generation;

/* One record a function in the file that FAKE_NVML_CALLS names; processes share it. */
static struct record {
    char name[56];
    _Atomic unsigned long long count;
} *records;

static void open_records(void)
{
    const char *path = getenv("FAKE_NVML_CALLS");
    size_t size = CALL_COUNT * sizeof *records;
    if (path == NULL || *path == '\0')
        return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    void *mapped = MAP_FAILED;
    if (file >= 0 && ftruncate(file, (off_t)size) == 0)
        mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    if (mapped == MAP_FAILED) {
        fprintf(stderr, "fake NVML: can't count calls in %s\n", path);
        return;
    }
    records = mapped;
    for (int call = 0; call < CALL_COUNT; call++)
        snprintf(records[call].name, sizeof records[call].name, "%s", call_names[call]);
}

void tally(enum call call)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_records);
    if (records != NULL)
        records[call].count++;
}

static void sleep_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* The scheduler wakes a sleeper some 60 µs late, so that the end of a delay, and all of a short one, is spun. */
static void delay_for(double seconds)
{
    const double late = 200e-6;
    double end = seconds_now() + seconds;
    if (seconds > late)
        sleep_for(seconds - late);
    while (seconds_now() < end)
        continue;
}

/* A device's handle: a number that says all, in the form of a pointer. */
struct handle {
    unsigned int slot, mig, generation;
};

static const uintptr_t MAGIC = 0x4E564D4C;

static nvmlDevice_t encode(unsigned int slot, unsigned int mig)
{
    uintptr_t value = MAGIC << 16 | (uintptr_t)(state->generation & 0xFF) << 8 | slot << 4 | mig;
    return (nvmlDevice_t)value;
}

static bool decode(nvmlDevice_t handle, struct handle *out)
{
    uintptr_t value = (uintptr_t)handle;
    out->mig = value & 0xF;
    out->slot = value >> 4 & 0xF;
    out->generation = value >> 8 & 0xFF;
    return value >> 16 == MAGIC;
}

nvmlDevice_t gpu_handle(const struct gpu *gpu)
{
    return encode(gpu->slot, 0);
}

nvmlDevice_t mig_handle(const struct gpu *gpu, const struct mig *mig)
{
    return encode(gpu->slot, mig->index + 1);
}

static double hang_of(enum call call, const struct handle *handle)
{
    double hang = state->knob[call].hang;
    if (handle != NULL && handle->slot < state->count && state->gpu[handle->slot].knob[call].hang > hang)
        hang = state->gpu[handle->slot].knob[call].hang;
    return hang;
}

/* Take the lock, once the call has waited. A hang looks again now and then: it ends when the file says so. */
static void lock_after_waiting(enum call call, const struct handle *handle)
{
    const double glance = 0.02;
    double began = seconds_now(), left;
    tally(call);
    pthread_mutex_lock(&lock);
    state_refresh();
    if (state->delay > 0) {
        double delay = state->delay * 1e-6;
        pthread_mutex_unlock(&lock);
        delay_for(delay);
        pthread_mutex_lock(&lock);
    }
    while ((left = began + hang_of(call, handle) - seconds_now()) > 0) {
        pthread_mutex_unlock(&lock);
        sleep_for(left < glance ? left : glance);
        pthread_mutex_lock(&lock);
        state_refresh();
    }
}

nvmlReturn_t leave(nvmlReturn_t result)
{
    pthread_mutex_unlock(&lock);
    return result;
}

static nvmlReturn_t session(void)
{
    if (references == 0)
        return NVML_ERROR_UNINITIALIZED;
    return generation == state->generation ? NVML_SUCCESS : NVML_ERROR_DRIVER_NOT_LOADED;
}

nvmlReturn_t gpu_refusal(enum call call, const struct gpu *gpu)
{
    if (gpu->knob[call].error != NVML_SUCCESS)
        return gpu->knob[call].error;
    return gpu->present ? gpu->error : NVML_ERROR_GPU_IS_LOST;
}

nvmlReturn_t enter(enum call call)
{
    lock_after_waiting(call, NULL);
    nvmlReturn_t result = session();
    if (result == NVML_SUCCESS)
        result = state->knob[call].error;
    return result == NVML_SUCCESS ? result : leave(result);
}

nvmlReturn_t look_again(void)
{
    pthread_mutex_lock(&lock);
    state_refresh();
    return session();
}

static nvmlReturn_t find_device(const struct handle *handle, struct device *device)
{
    if (handle == NULL || handle->generation != (state->generation & 0xFF))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (handle->slot >= state->count || handle->mig > MAX_MIGS)
        return NVML_ERROR_INVALID_ARGUMENT;
    device->gpu = &state->gpu[handle->slot];
    device->mig = handle->mig == 0 ? NULL : &device->gpu->mig[handle->mig - 1];
    bool gone = device->mig != NULL && (!device->mig->present || device->gpu->number[N_mig_mode].base == 0);
    return gone ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

nvmlReturn_t enter_device(enum call call, nvmlDevice_t pointer, struct device *device)
{
    struct handle decoded, *handle = decode(pointer, &decoded) ? &decoded : NULL;
    lock_after_waiting(call, handle);
    nvmlReturn_t result = session();
    if (result == NVML_SUCCESS)
        result = state->knob[call].error;
    if (result == NVML_SUCCESS)
        result = find_device(handle, device);
    if (result == NVML_SUCCESS)
        result = gpu_refusal(call, device->gpu);
    return result == NVML_SUCCESS ? result : leave(result);
}

nvmlReturn_t enter_gpu(enum call call, nvmlDevice_t handle, struct gpu **gpu)
{
    struct device device;
    nvmlReturn_t result = enter_device(call, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    *gpu = device.gpu;
    return device.mig == NULL ? NVML_SUCCESS : leave(NVML_ERROR_NOT_SUPPORTED);
}

/* Only the first of nested initializations meets the driver; so an old session stays old until all have ended. */
nvmlReturn_t session_open(void)
{
    lock_after_waiting(CALL_nvmlInitWithFlags, NULL);
    nvmlReturn_t result = references > 0 ? NVML_SUCCESS : state->init_error;
    if (result == NVML_SUCCESS)
        result = state->knob[CALL_nvmlInitWithFlags].error;
    if (result == NVML_SUCCESS && references++ == 0)
        generation = state->generation;
    return leave(result);
}

nvmlReturn_t session_close(void)
{
    lock_after_waiting(CALL_nvmlShutdown, NULL);
    nvmlReturn_t result = references == 0 ? NVML_ERROR_UNINITIALIZED : state->knob[CALL_nvmlShutdown].error;
    if (result == NVML_SUCCESS && --references == 0) {
        events_forget();
        gpm_forget();
    }
    return leave(result);
}

nvmlReturn_t copy_text(const char *text, char *buffer, unsigned int size)
{
    if (strlen(text) >= size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(buffer, text);
    return NVML_SUCCESS;
}
