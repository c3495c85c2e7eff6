/* The NVLink fabric, in the forms that the binding knows. */
#include <string.h>

#include "state.h"

static nvmlReturn_t read_fabric(const struct gpu *gpu, nvmlGpuFabricInfoV_t *info)
{
    unsigned int status, summary;
    memset(info->clusterUuid, 0, sizeof info->clusterUuid);
    nvmlReturn_t result = number_u32(&gpu->number[N_fabric_state], &info->state);
    number_u32(&gpu->number[N_fabric_status], &status);
    number_u32(&gpu->number[N_fabric_clique], &info->cliqueId);
    number_u32(&gpu->number[N_fabric_health], &info->healthMask);
    number_u32(&gpu->number[N_fabric_health_summary], &summary);
    info->status = (nvmlReturn_t)status;
    info->healthSummary = (unsigned char)summary;
    return result;
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t handle, nvmlGpuFabricInfo_t *info)
{
    struct gpu *gpu;
    nvmlGpuFabricInfoV_t whole;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetGpuFabricInfo, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = read_fabric(gpu, &whole);
    memcpy(info->clusterUuid, whole.clusterUuid, sizeof info->clusterUuid);
    info->status = whole.status;
    info->cliqueId = whole.cliqueId;
    info->state = whole.state;
    return leave(result);
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t handle, nvmlGpuFabricInfoV_t *info)
{
    struct gpu *gpu;
    nvmlGpuFabricInfoV_t whole;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetGpuFabricInfoV, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    whole.version = info->version;
    if (info->version != NVML_GPU_FABRIC_INFO_V2 && info->version != NVML_GPU_FABRIC_INFO_V3)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    result = read_fabric(gpu, &whole);
    /* A version's number ends with the size of its structure. */
    memcpy(info, &whole, info->version & 0xFFFFFF);
    return leave(result);
}
