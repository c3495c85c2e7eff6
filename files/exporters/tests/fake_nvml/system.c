/* The session, the system, and the way to devices. */
#include <string.h>

#include "state.h"

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    return session_open();
}

nvmlReturn_t nvmlShutdown(void)
{
    return session_close();
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    tally(CALL_nvmlErrorString);
    switch (result) {
#define X(name, number, text)                                                                      \
    case NVML_##name:                                                                              \
        return text;
        NVML_RETURNS(X)
#undef X
    }
    return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int size)
{
    nvmlReturn_t result = enter(CALL_nvmlSystemGetDriverVersion);
    return result == NVML_SUCCESS ? leave(copy_text(state->driver, version, size)) : result;
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int size)
{
    nvmlReturn_t result = enter(CALL_nvmlSystemGetNVMLVersion);
    return result == NVML_SUCCESS ? leave(copy_text(state->nvml, version, size)) : result;
}

static nvmlReturn_t cuda_version(enum call call, int *version)
{
    nvmlReturn_t result = enter(call);
    if (result != NVML_SUCCESS)
        return result;
    *version = (int)state->cuda;
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    return cuda_version(CALL_nvmlSystemGetCudaDriverVersion, version);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return cuda_version(CALL_nvmlSystemGetCudaDriverVersion_v2, version);
}

static const char *process_name(unsigned int pid)
{
    for (unsigned int slot = 0; slot < state->count; slot++) {
        const struct gpu *gpu = &state->gpu[slot];
        for (unsigned int i = 0; i < gpu->process_count; i++)
            if (gpu->processes[i].pid == pid)
                return gpu->processes[i].name;
    }
    return NULL;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int size)
{
    nvmlReturn_t result = enter(CALL_nvmlSystemGetProcessName);
    if (result != NVML_SUCCESS)
        return result;
    const char *found = process_name(pid);
    return leave(found == NULL ? NVML_ERROR_NOT_FOUND : copy_text(found, name, size));
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    nvmlReturn_t result = enter(CALL_nvmlDeviceGetCount_v2);
    if (result != NVML_SUCCESS)
        return result;
    *count = 0;
    for (unsigned int slot = 0; slot < state->count; slot++)
        *count += state->gpu[slot].present;
    return leave(NVML_SUCCESS);
}

static nvmlReturn_t give_gpu(enum call call, const struct gpu *gpu, nvmlDevice_t *device)
{
    nvmlReturn_t result = gpu_refusal(call, gpu);
    if (result == NVML_SUCCESS)
        *device = gpu_handle(gpu);
    return result;
}

/* NVML's index counts only what the driver has found. */
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    enum call call = CALL_nvmlDeviceGetHandleByIndex_v2;
    nvmlReturn_t result = enter(call);
    if (result != NVML_SUCCESS)
        return result;
    result = NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int slot = 0; slot < state->count; slot++)
        if (state->gpu[slot].present && index-- == 0) {
            result = give_gpu(call, &state->gpu[slot], device);
            break;
        }
    return leave(result);
}

static nvmlReturn_t mig_by_uuid(const struct gpu *gpu, const char *uuid, nvmlDevice_t *device)
{
    for (unsigned int i = 0; i < MAX_MIGS && gpu->number[N_mig_mode].base != 0; i++)
        if (gpu->mig[i].present && strcmp(gpu->mig[i].text[MT_uuid], uuid) == 0) {
            *device = mig_handle(gpu, &gpu->mig[i]);
            return NVML_SUCCESS;
        }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    enum call call = CALL_nvmlDeviceGetHandleByUUID;
    nvmlReturn_t result = enter(call);
    if (result != NVML_SUCCESS)
        return result;
    result = NVML_ERROR_NOT_FOUND;
    for (unsigned int slot = 0; slot < state->count && result == NVML_ERROR_NOT_FOUND; slot++) {
        const struct gpu *gpu = &state->gpu[slot];
        if (gpu->present && strcmp(gpu->text[T_uuid], uuid) == 0)
            result = give_gpu(call, gpu, device);
        else if (gpu->present)
            result = mig_by_uuid(gpu, uuid, device);
    }
    return leave(result);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    enum call call = CALL_nvmlDeviceGetHandleByPciBusId_v2;
    nvmlReturn_t result = enter(call);
    if (result != NVML_SUCCESS)
        return result;
    result = NVML_ERROR_NOT_FOUND;
    for (unsigned int slot = 0; slot < state->count; slot++)
        if (state->gpu[slot].present && strcmp(state->gpu[slot].text[T_pci_bus_id], bus_id) == 0)
            result = give_gpu(call, &state->gpu[slot], device);
    return leave(result);
}
