/* MIG devices: what of a GPU was cut off for one user. */
#include "state.h"

static bool cut(const struct gpu *gpu)
{
    return gpu->number[N_mig_mode].error == NVML_SUCCESS && gpu->number[N_mig_mode].base != 0;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t handle, unsigned int *count)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetMaxMigDeviceCount, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    *count = cut(gpu) ? MAX_MIGS : 0;
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t handle, unsigned int index,
                                                 nvmlDevice_t *mig)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetMigDeviceHandleByIndex, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (!cut(gpu))
        return leave(NVML_ERROR_NOT_SUPPORTED);
    if (index >= MAX_MIGS)
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    if (!gpu->mig[index].present)
        return leave(NVML_ERROR_NOT_FOUND);
    *mig = mig_handle(gpu, &gpu->mig[index]);
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t handle, unsigned int *is_mig)
{
    struct device device;
    nvmlReturn_t result = enter_device(CALL_nvmlDeviceIsMigDeviceHandle, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    *is_mig = device.mig != NULL;
    return leave(NVML_SUCCESS);
}

/* What only MIG devices answer. */
static nvmlReturn_t enter_mig(enum call call, nvmlDevice_t handle, struct device *device)
{
    nvmlReturn_t result = enter_device(call, handle, device);
    if (result == NVML_SUCCESS && device->mig == NULL)
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    return result;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t handle, nvmlDevice_t *gpu)
{
    struct device device;
    nvmlReturn_t result =
        enter_mig(CALL_nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    *gpu = gpu_handle(device.gpu);
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t handle, unsigned int *id)
{
    struct device device;
    nvmlReturn_t result = enter_mig(CALL_nvmlDeviceGetGpuInstanceId, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    return leave(number_u32(&device.mig->number[M_gpu_instance], id));
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t handle, unsigned int *id)
{
    struct device device;
    nvmlReturn_t result = enter_mig(CALL_nvmlDeviceGetComputeInstanceId, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    return leave(number_u32(&device.mig->number[M_compute_instance], id));
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t handle, nvmlDeviceAttributes_t *attributes)
{
    struct device device;
    nvmlReturn_t result = enter_mig(CALL_nvmlDeviceGetAttributes_v2, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    const struct number *number = device.mig->number;
    *attributes = (nvmlDeviceAttributes_t){.sharedCopyEngineCount = 1};
    number_u32(&number[M_multiprocessors], &attributes->multiprocessorCount);
    number_u32(&number[M_slices], &attributes->gpuInstanceSliceCount);
    attributes->computeInstanceSliceCount = attributes->gpuInstanceSliceCount;
    result = number_u64(&number[M_memory_total], &attributes->memorySizeMB);
    attributes->memorySizeMB >>= 20;
    return leave(result);
}
