/* What a device is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

static nvmlReturn_t gpu_text(enum call call, nvmlDevice_t handle, int which, char *buffer,
                             unsigned int size)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(call, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    const char *text = gpu->text[which];
    return leave(*text == '\0' ? NVML_ERROR_NOT_SUPPORTED : copy_text(text, buffer, size));
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t handle, char *buffer, unsigned int size)
{
    return gpu_text(CALL_nvmlDeviceGetSerial, handle, T_serial, buffer, size);
}

nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t handle, char *buffer, unsigned int size)
{
    return gpu_text(CALL_nvmlDeviceGetVbiosVersion, handle, T_vbios, buffer, size);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t handle, char *buffer, unsigned int size)
{
    struct device device;
    char name[2 * TEXT_SIZE + 8];
    nvmlReturn_t result = enter_device(CALL_nvmlDeviceGetName, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    snprintf(name, sizeof name, "%s%s%s", device.gpu->text[T_name], device.mig == NULL ? "" : " MIG ",
             device.mig == NULL ? "" : device.mig->text[MT_profile]);
    return leave(copy_text(name, buffer, size));
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t handle, char *buffer, unsigned int size)
{
    struct device device;
    nvmlReturn_t result = enter_device(CALL_nvmlDeviceGetUUID, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    const char *uuid = device.mig == NULL ? device.gpu->text[T_uuid] : device.mig->text[MT_uuid];
    return leave(copy_text(uuid, buffer, size));
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t handle, unsigned int *index)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetIndex, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    *index = 0;
    for (unsigned int slot = 0; slot < gpu->slot; slot++)
        *index += state->gpu[slot].present;
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t handle, int *major, int *minor)
{
    struct gpu *gpu;
    unsigned int tenths;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetCudaComputeCapability, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = number_u32(&gpu->number[N_cuda_capability], &tenths);
    *major = (int)(tenths / 10);
    *minor = (int)(tenths % 10);
    return leave(result);
}

/* A driver's model is a thing of Windows. */
nvmlReturn_t nvmlDeviceGetDriverModel_v2(nvmlDevice_t handle, unsigned int *current,
                                         unsigned int *pending)
{
    struct gpu *gpu;
    (void)current;
    (void)pending;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetDriverModel_v2, handle, &gpu);
    return result == NVML_SUCCESS ? leave(NVML_ERROR_NOT_SUPPORTED) : result;
}

static void fill_pci(const struct gpu *gpu, nvmlPciInfo_t *pci)
{
    char *rest;
    const char *bus_id = gpu->text[T_pci_bus_id];
    memset(pci, 0, sizeof *pci);
    pci->domain = (unsigned int)strtoul(bus_id, &rest, 16);
    pci->bus = *rest == ':' ? (unsigned int)strtoul(rest + 1, &rest, 16) : 0;
    pci->device = *rest == ':' ? (unsigned int)strtoul(rest + 1, &rest, 16) : 0;
    number_u32(&gpu->number[N_pci_device_id], &pci->pciDeviceId);
    number_u32(&gpu->number[N_pci_subsystem_id], &pci->pciSubSystemId);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", pci->domain & 0xFFFF,
             pci->bus & 0xFF, pci->device & 0xFF);
    snprintf(pci->busId, sizeof pci->busId, "%.31s", bus_id);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t handle, nvmlPciInfo_t *pci)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetPciInfo_v3, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    fill_pci(gpu, pci);
    return leave(NVML_SUCCESS);
}
