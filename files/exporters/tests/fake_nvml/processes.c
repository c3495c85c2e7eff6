/* Processes on a GPU or a MIG device, and what they use of it. */
#include <stdlib.h>
#include <time.h>

#include "state.h"

enum { INVENTED_PID = 4000000 };

static bool uses(const struct device *device, const struct process *process)
{
    return device->mig == NULL || process->mig == device->mig->index;
}

static void fill_process(const struct gpu *gpu, const struct process *process,
                         nvmlProcessInfo_t *info)
{
    info->pid = process->pid;
    info->usedGpuMemory = process->memory;
    info->gpuInstanceId = info->computeInstanceId = NVML_INSTANCE_NONE;
    if (process->mig < MAX_MIGS) {
        number_u32(&gpu->mig[process->mig].number[M_gpu_instance], &info->gpuInstanceId);
        number_u32(&gpu->mig[process->mig].number[M_compute_instance], &info->computeInstanceId);
    }
}

/* How many there are once they are asked for by name: some have ended since they were counted, or begun. */
static unsigned int drifted(const struct gpu *gpu, unsigned int count)
{
    int now = (int)count + gpu->process_drift;
    return now > 0 ? (unsigned int)now : 0;
}

static nvmlReturn_t list(enum call call, nvmlDevice_t handle, bool graphics, unsigned int *count,
                         nvmlProcessInfo_t *infos)
{
    struct device device;
    nvmlReturn_t result = enter_device(call, handle, &device);
    if (result != NVML_SUCCESS)
        return result;
    const struct gpu *gpu = device.gpu;
    unsigned int room = infos == NULL ? 0 : *count, found = 0;
    for (unsigned int i = 0; i < gpu->process_count; i++)
        found += gpu->processes[i].graphics == graphics && uses(&device, &gpu->processes[i]);
    *count = room > 0 ? drifted(gpu, found) : found;
    if (*count > room)
        return leave(NVML_ERROR_INSUFFICIENT_SIZE);
    unsigned int filled = 0;
    for (unsigned int i = 0; i < gpu->process_count && filled < *count; i++)
        if (gpu->processes[i].graphics == graphics && uses(&device, &gpu->processes[i]))
            fill_process(gpu, &gpu->processes[i], &infos[filled++]);
    for (; filled < *count; filled++) {
        const struct process invented = {.pid = INVENTED_PID + filled, .mig = MAX_MIGS};
        fill_process(gpu, &invented, &infos[filled]);
    }
    return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned int *count,
                                                     nvmlProcessInfo_t *infos)
{
    return list(CALL_nvmlDeviceGetComputeRunningProcesses_v3, handle, false, count, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t handle, unsigned int *count,
                                                      nvmlProcessInfo_t *infos)
{
    return list(CALL_nvmlDeviceGetGraphicsRunningProcesses_v3, handle, true, count, infos);
}

/* Nobody shares the GPUs through MPS here. */
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned int *count,
                                                        nvmlProcessInfo_t *infos)
{
    struct device device;
    (void)infos;
    nvmlReturn_t result = enter_device(CALL_nvmlDeviceGetMPSComputeRunningProcesses_v3, handle,
                                       &device);
    if (result != NVML_SUCCESS)
        return result;
    *count = 0;
    return leave(NVML_SUCCESS);
}

/* The driver takes a sample six times a second. */
static unsigned long long last_sample(void)
{
    const unsigned long long period = 166667;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long microseconds =
        (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
    return microseconds - microseconds % period;
}

/* Only who used the GPU is in a sample; where nobody is in any that is newer than `seen`, there is none. */
static nvmlReturn_t sample(const struct gpu *gpu, unsigned long long seen, bool counting,
                           unsigned int *count, nvmlProcessUtilizationSample_t *samples)
{
    unsigned long long time = last_sample();
    unsigned int room = *count, filled = 0;
    if (gpu->number[N_mig_mode].base != 0)
        return NVML_ERROR_NOT_SUPPORTED;
    *count = 0;
    for (unsigned int i = 0; i < gpu->process_count && time > seen; i++)
        *count += gpu->processes[i].sm + gpu->processes[i].memory_utilization > 0;
    if (*count == 0)
        return NVML_ERROR_NOT_FOUND;
    if (counting || *count > room)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (gpu->process_drift < 0)
        *count = drifted(gpu, *count);
    for (unsigned int i = 0; i < gpu->process_count && filled < *count; i++) {
        const struct process *process = &gpu->processes[i];
        if (process->sm + process->memory_utilization > 0)
            samples[filled++] = (nvmlProcessUtilizationSample_t){
                process->pid, time, process->sm, process->memory_utilization, 0, 0};
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t handle,
                                             nvmlProcessUtilizationSample_t *samples,
                                             unsigned int *count, unsigned long long seen)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetProcessUtilization, handle, &gpu);
    return result == NVML_SUCCESS ? leave(sample(gpu, seen, samples == NULL, count, samples)) : result;
}

/* The newer form of the same, which also has engines that are idle here. */
nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t handle,
                                                   nvmlProcessesUtilizationInfo_t *info)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetProcessesUtilizationInfo, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (info->version != NVML_PROCESSES_UTILIZATION_V1)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    unsigned int room = info->procUtilArray == NULL ? 0 : info->processSamplesCount;
    info->processSamplesCount = room;
    nvmlProcessUtilizationSample_t *samples = calloc(room + 1, sizeof *samples);
    if (samples == NULL)
        return leave(NVML_ERROR_MEMORY);
    result = sample(gpu, info->lastSeenTimeStamp, room == 0, &info->processSamplesCount, samples);
    for (unsigned int i = 0; result == NVML_SUCCESS && i < info->processSamplesCount; i++)
        info->procUtilArray[i] = (nvmlProcessUtilizationInfo_t){
            samples[i].timeStamp, samples[i].pid, samples[i].smUtil, samples[i].memUtil, 0, 0, 0, 0};
    free(samples);
    return leave(result);
}
