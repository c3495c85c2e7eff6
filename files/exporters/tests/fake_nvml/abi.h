/* The part of NVML's ABI that the fake speaks. The binding nvidia-ml-py is the authority: names, numbers and layouts
 * are those of its constants and ctypes structures. */
#ifndef FAKE_NVML_ABI_H
#define FAKE_NVML_ABI_H

#define NVML_RETURNS(X) \
    X(SUCCESS, 0, "Success") \
    X(ERROR_UNINITIALIZED, 1, "Uninitialized") \
    X(ERROR_INVALID_ARGUMENT, 2, "Invalid Argument") \
    X(ERROR_NOT_SUPPORTED, 3, "Not Supported") \
    X(ERROR_NO_PERMISSION, 4, "Insufficient Permissions") \
    X(ERROR_NOT_FOUND, 6, "Not Found") \
    X(ERROR_INSUFFICIENT_SIZE, 7, "Insufficient Size") \
    X(ERROR_INSUFFICIENT_POWER, 8, "Insufficient External Power") \
    X(ERROR_DRIVER_NOT_LOADED, 9, "Driver Not Loaded") \
    X(ERROR_TIMEOUT, 10, "Timeout") \
    X(ERROR_IRQ_ISSUE, 11, "Interrupt Request Issue") \
    X(ERROR_LIBRARY_NOT_FOUND, 12, "NVML Shared Library Not Found") \
    X(ERROR_FUNCTION_NOT_FOUND, 13, "Function Not Found") \
    X(ERROR_CORRUPTED_INFOROM, 14, "Corrupted infoROM") \
    X(ERROR_GPU_IS_LOST, 15, "GPU is lost") \
    X(ERROR_RESET_REQUIRED, 16, "GPU requires reset") \
    X(ERROR_OPERATING_SYSTEM, 17, "The operating system has blocked the request") \
    X(ERROR_LIB_RM_VERSION_MISMATCH, 18, "Driver/library version mismatch") \
    X(ERROR_IN_USE, 19, "In use by another client") \
    X(ERROR_MEMORY, 20, "Insufficient Memory") \
    X(ERROR_NO_DATA, 21, "No data") \
    X(ERROR_INSUFFICIENT_RESOURCES, 23, "Insufficient Resources") \
    X(ERROR_ARGUMENT_VERSION_MISMATCH, 25, "Argument version mismatch") \
    X(ERROR_DEPRECATED, 26, "Deprecated") \
    X(ERROR_NOT_READY, 27, "Not ready") \
    X(ERROR_GPU_NOT_FOUND, 28, "GPU not found") \
    X(ERROR_INVALID_STATE, 29, "Invalid state") \
    X(ERROR_UNKNOWN, 999, "Unknown Error")

#define X(name, number, text) NVML_##name = number,
typedef enum { NVML_RETURNS(X) } nvmlReturn_t;
#undef X

/* Opaque to callers, and never dereferenced here either: the pointer's value says which device it is. */
typedef struct nvmlDevice *nvmlDevice_t;
typedef struct event_set *nvmlEventSet_t;
typedef struct gpm_sample *nvmlGpmSample_t;

enum { NVML_CLOCK_GRAPHICS, NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_CLOCK_VIDEO, NVML_CLOCK_COUNT };
enum { NVML_EVENT_XID_CRITICAL_ERROR = 8 };
enum { NVML_INSTANCE_NONE = 0xFFFFFFFF };

#define NVML_VALUE_NOT_AVAILABLE (~0ULL)
#define NVML_MEMORY_V2 0x02000028u
#define NVML_TEMPERATURE_V1 0x0100000Cu
#define NVML_MARGIN_TEMPERATURE_V1 0x01000008u
#define NVML_PROCESSES_UTILIZATION_V1 0x01000018u
#define NVML_GPU_FABRIC_INFO_V2 0x02000024u
#define NVML_GPU_FABRIC_INFO_V3 0x03000028u
#define NVML_GPM_VERSION 1u

typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device;
    unsigned int pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
    unsigned long long bar1Total, bar1Free, bar1Used;
} nvmlBAR1Memory_t;

typedef struct {
    unsigned int gpu, memory;
} nvmlUtilization_t;

typedef struct {
    unsigned int version, sensorType;
    int temperature;
} nvmlTemperature_t;

typedef struct {
    unsigned int version;
    int marginTemperature;
} nvmlMarginTemperature_t;

typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

typedef struct {
    unsigned int pid;
    unsigned long long timeStamp;
    unsigned int smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

typedef struct {
    unsigned long long timeStamp;
    unsigned int pid, smUtil, memUtil, encUtil, decUtil, jpgUtil, ofaUtil;
} nvmlProcessUtilizationInfo_t;

typedef struct {
    unsigned int version, processSamplesCount;
    unsigned long long lastSeenTimeStamp;
    nvmlProcessUtilizationInfo_t *procUtilArray;
} nvmlProcessesUtilizationInfo_t;

typedef enum { NVML_VALUE_UNSIGNED_INT = 1, NVML_VALUE_UNSIGNED_LONG_LONG = 3 } nvmlValueType_t;

typedef struct {
    unsigned int fieldId, scopeId;
    long long timestamp, latencyUsec;
    nvmlValueType_t valueType;
    nvmlReturn_t nvmlReturn;
    union {
        double dVal;
        unsigned int uiVal;
        unsigned long long ullVal;
    } value;
} nvmlFieldValue_t;

typedef struct {
    unsigned char clusterUuid[16];
    nvmlReturn_t status;
    unsigned int cliqueId, state;
} nvmlGpuFabricInfo_t;

/* Version 2 ends before healthSummary. */
typedef struct {
    unsigned int version;
    unsigned char clusterUuid[16];
    nvmlReturn_t status;
    unsigned int cliqueId, state, healthMask;
    unsigned char healthSummary;
} nvmlGpuFabricInfoV_t;

typedef struct {
    unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount;
    unsigned int sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount, computeInstanceSliceCount;
    unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;

typedef struct {
    nvmlDevice_t device;
    unsigned long long eventType, eventData;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

typedef struct {
    unsigned int metricId;
    nvmlReturn_t nvmlReturn;
    double value;
    const char *shortName, *longName, *unit;
} nvmlGpmMetric_t;

/* Each version of the binding has an array of another length. */
typedef struct {
    unsigned int version, numMetrics;
    nvmlGpmSample_t sample1, sample2;
    nvmlGpmMetric_t metrics[];
} nvmlGpmMetricsGet_t;

typedef struct {
    unsigned int version, isSupportedDevice;
} nvmlGpmSupport_t;

#endif
