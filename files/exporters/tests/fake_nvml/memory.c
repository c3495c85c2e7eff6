/* Memory, of a GPU or a MIG device. */
#include <string.h>

#include "state.h"

struct share {
    unsigned long long total, reserved, used;
};

static nvmlReturn_t read_memory(const struct device *device, struct share *share)
{
    const struct number *gpu = device->gpu->number;
    const struct number *mig = device->mig == NULL ? NULL : device->mig->number;
    nvmlReturn_t result =
        number_u64(mig == NULL ? &gpu[N_memory_total] : &mig[M_memory_total], &share->total);
    number_u64(mig == NULL ? &gpu[N_memory_reserved] : &mig[M_memory_reserved], &share->reserved);
    number_u64(mig == NULL ? &gpu[N_memory_used] : &mig[M_memory_used], &share->used);
    return result;
}

/* The old call counts what the driver reserves as used. */
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, nvmlMemory_t *memory)
{
    struct device device;
    struct share share;
    nvmlReturn_t result = enter_device(CALL_nvmlDeviceGetMemoryInfo, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    result = read_memory(&device, &share);
    memory->total = share.total;
    memory->used = share.used + share.reserved;
    memory->free = memory->total - memory->used;
    return leave(result);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t handle, nvmlMemory_v2_t *memory)
{
    struct device device;
    struct share share;
    nvmlReturn_t result = enter_device(CALL_nvmlDeviceGetMemoryInfo_v2, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    if (memory->version != NVML_MEMORY_V2)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    result = read_memory(&device, &share);
    memory->total = share.total;
    memory->reserved = share.reserved;
    memory->used = share.used;
    memory->free = share.total - share.reserved - share.used;
    return leave(result);
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t handle, nvmlBAR1Memory_t *memory)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetBAR1MemoryInfo, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = number_u64(&gpu->number[N_bar1_total], &memory->bar1Total);
    number_u64(&gpu->number[N_bar1_used], &memory->bar1Used);
    memory->bar1Free = memory->bar1Total - memory->bar1Used;
    return leave(result);
}
