from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Annotation(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class ConfigData(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class VolumeAttribute(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class OwnerReference(_message.Message):
    __slots__ = ("kind", "name", "api_version", "controller")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    kind: bytes
    name: bytes
    api_version: bytes
    controller: bool
    def __init__(self, kind: _Optional[bytes] = ..., name: _Optional[bytes] = ..., api_version: _Optional[bytes] = ..., controller: _Optional[bool] = ...) -> None: ...

class ObjectMeta(_message.Message):
    __slots__ = ("annotations", "owner_references")
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    OWNER_REFERENCES_FIELD_NUMBER: _ClassVar[int]
    annotations: _containers.RepeatedCompositeFieldContainer[Annotation]
    owner_references: _containers.RepeatedCompositeFieldContainer[OwnerReference]
    def __init__(self, annotations: _Optional[_Iterable[_Union[Annotation, _Mapping]]] = ..., owner_references: _Optional[_Iterable[_Union[OwnerReference, _Mapping]]] = ...) -> None: ...

class Object(_message.Message):
    __slots__ = ("metadata",)
    METADATA_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ...) -> None: ...

class ConfigMap(_message.Message):
    __slots__ = ("metadata", "data")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    data: _containers.RepeatedCompositeFieldContainer[ConfigData]
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., data: _Optional[_Iterable[_Union[ConfigData, _Mapping]]] = ...) -> None: ...

class LocalObjectReference(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: bytes
    def __init__(self, name: _Optional[bytes] = ...) -> None: ...

class SecretReference(_message.Message):
    __slots__ = ("name", "namespace")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    name: bytes
    namespace: bytes
    def __init__(self, name: _Optional[bytes] = ..., namespace: _Optional[bytes] = ...) -> None: ...

class ObjectReference(_message.Message):
    __slots__ = ("kind", "namespace", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: bytes
    namespace: bytes
    name: bytes
    def __init__(self, kind: _Optional[bytes] = ..., namespace: _Optional[bytes] = ..., name: _Optional[bytes] = ...) -> None: ...

class InlineReference(_message.Message):
    __slots__ = ("inline",)
    INLINE_FIELD_NUMBER: _ClassVar[int]
    inline: LocalObjectReference
    def __init__(self, inline: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class SecretName(_message.Message):
    __slots__ = ("secret_name",)
    SECRET_NAME_FIELD_NUMBER: _ClassVar[int]
    secret_name: bytes
    def __init__(self, secret_name: _Optional[bytes] = ...) -> None: ...

class EnvVarSource(_message.Message):
    __slots__ = ("secret_key_ref",)
    SECRET_KEY_REF_FIELD_NUMBER: _ClassVar[int]
    secret_key_ref: InlineReference
    def __init__(self, secret_key_ref: _Optional[_Union[InlineReference, _Mapping]] = ...) -> None: ...

class EnvVar(_message.Message):
    __slots__ = ("value_from",)
    VALUE_FROM_FIELD_NUMBER: _ClassVar[int]
    value_from: EnvVarSource
    def __init__(self, value_from: _Optional[_Union[EnvVarSource, _Mapping]] = ...) -> None: ...

class EnvFromSource(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: InlineReference
    def __init__(self, secret_ref: _Optional[_Union[InlineReference, _Mapping]] = ...) -> None: ...

class Container(_message.Message):
    __slots__ = ("env", "env_from")
    ENV_FIELD_NUMBER: _ClassVar[int]
    ENV_FROM_FIELD_NUMBER: _ClassVar[int]
    env: _containers.RepeatedCompositeFieldContainer[EnvVar]
    env_from: _containers.RepeatedCompositeFieldContainer[EnvFromSource]
    def __init__(self, env: _Optional[_Iterable[_Union[EnvVar, _Mapping]]] = ..., env_from: _Optional[_Iterable[_Union[EnvFromSource, _Mapping]]] = ...) -> None: ...

class EphemeralContainer(_message.Message):
    __slots__ = ("inline",)
    INLINE_FIELD_NUMBER: _ClassVar[int]
    inline: Container
    def __init__(self, inline: _Optional[_Union[Container, _Mapping]] = ...) -> None: ...

class SecretRefAt3(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: LocalObjectReference
    def __init__(self, secret_ref: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class SecretRefAt4(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: LocalObjectReference
    def __init__(self, secret_ref: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class SecretRefAt5(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: LocalObjectReference
    def __init__(self, secret_ref: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class SecretRefAt7(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: LocalObjectReference
    def __init__(self, secret_ref: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class SecretRefAt10(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: LocalObjectReference
    def __init__(self, secret_ref: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class VolumeProjection(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: InlineReference
    def __init__(self, secret: _Optional[_Union[InlineReference, _Mapping]] = ...) -> None: ...

class ProjectedVolumeSource(_message.Message):
    __slots__ = ("sources",)
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedCompositeFieldContainer[VolumeProjection]
    def __init__(self, sources: _Optional[_Iterable[_Union[VolumeProjection, _Mapping]]] = ...) -> None: ...

class CSIVolumeSource(_message.Message):
    __slots__ = ("volume_attributes", "node_publish_secret_ref")
    VOLUME_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    NODE_PUBLISH_SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    volume_attributes: _containers.RepeatedCompositeFieldContainer[VolumeAttribute]
    node_publish_secret_ref: LocalObjectReference
    def __init__(self, volume_attributes: _Optional[_Iterable[_Union[VolumeAttribute, _Mapping]]] = ..., node_publish_secret_ref: _Optional[_Union[LocalObjectReference, _Mapping]] = ...) -> None: ...

class VolumeSource(_message.Message):
    __slots__ = ("secret", "iscsi", "rbd", "flex_volume", "cinder", "cephfs", "azure_file", "scale_io", "projected", "storageos", "csi")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    ISCSI_FIELD_NUMBER: _ClassVar[int]
    RBD_FIELD_NUMBER: _ClassVar[int]
    FLEX_VOLUME_FIELD_NUMBER: _ClassVar[int]
    CINDER_FIELD_NUMBER: _ClassVar[int]
    CEPHFS_FIELD_NUMBER: _ClassVar[int]
    AZURE_FILE_FIELD_NUMBER: _ClassVar[int]
    SCALE_IO_FIELD_NUMBER: _ClassVar[int]
    PROJECTED_FIELD_NUMBER: _ClassVar[int]
    STORAGEOS_FIELD_NUMBER: _ClassVar[int]
    CSI_FIELD_NUMBER: _ClassVar[int]
    secret: SecretName
    iscsi: SecretRefAt10
    rbd: SecretRefAt7
    flex_volume: SecretRefAt3
    cinder: SecretRefAt4
    cephfs: SecretRefAt5
    azure_file: SecretName
    scale_io: SecretRefAt3
    projected: ProjectedVolumeSource
    storageos: SecretRefAt5
    csi: CSIVolumeSource
    def __init__(self, secret: _Optional[_Union[SecretName, _Mapping]] = ..., iscsi: _Optional[_Union[SecretRefAt10, _Mapping]] = ..., rbd: _Optional[_Union[SecretRefAt7, _Mapping]] = ..., flex_volume: _Optional[_Union[SecretRefAt3, _Mapping]] = ..., cinder: _Optional[_Union[SecretRefAt4, _Mapping]] = ..., cephfs: _Optional[_Union[SecretRefAt5, _Mapping]] = ..., azure_file: _Optional[_Union[SecretName, _Mapping]] = ..., scale_io: _Optional[_Union[SecretRefAt3, _Mapping]] = ..., projected: _Optional[_Union[ProjectedVolumeSource, _Mapping]] = ..., storageos: _Optional[_Union[SecretRefAt5, _Mapping]] = ..., csi: _Optional[_Union[CSIVolumeSource, _Mapping]] = ...) -> None: ...

class Volume(_message.Message):
    __slots__ = ("inline",)
    INLINE_FIELD_NUMBER: _ClassVar[int]
    inline: VolumeSource
    def __init__(self, inline: _Optional[_Union[VolumeSource, _Mapping]] = ...) -> None: ...

class PodSpec(_message.Message):
    __slots__ = ("volumes", "containers", "image_pull_secrets", "init_containers", "ephemeral_containers")
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PULL_SECRETS_FIELD_NUMBER: _ClassVar[int]
    INIT_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    volumes: _containers.RepeatedCompositeFieldContainer[Volume]
    containers: _containers.RepeatedCompositeFieldContainer[Container]
    image_pull_secrets: _containers.RepeatedCompositeFieldContainer[LocalObjectReference]
    init_containers: _containers.RepeatedCompositeFieldContainer[Container]
    ephemeral_containers: _containers.RepeatedCompositeFieldContainer[EphemeralContainer]
    def __init__(self, volumes: _Optional[_Iterable[_Union[Volume, _Mapping]]] = ..., containers: _Optional[_Iterable[_Union[Container, _Mapping]]] = ..., image_pull_secrets: _Optional[_Iterable[_Union[LocalObjectReference, _Mapping]]] = ..., init_containers: _Optional[_Iterable[_Union[Container, _Mapping]]] = ..., ephemeral_containers: _Optional[_Iterable[_Union[EphemeralContainer, _Mapping]]] = ...) -> None: ...

class Pod(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: PodSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[PodSpec, _Mapping]] = ...) -> None: ...

class PodTemplateSpec(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: PodSpec
    def __init__(self, spec: _Optional[_Union[PodSpec, _Mapping]] = ...) -> None: ...

class PodTemplate(_message.Message):
    __slots__ = ("metadata", "template")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    template: PodTemplateSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., template: _Optional[_Union[PodTemplateSpec, _Mapping]] = ...) -> None: ...

class TemplateAt3(_message.Message):
    __slots__ = ("template",)
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: PodTemplateSpec
    def __init__(self, template: _Optional[_Union[PodTemplateSpec, _Mapping]] = ...) -> None: ...

class Workload(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: TemplateAt3
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[TemplateAt3, _Mapping]] = ...) -> None: ...

class DaemonSetSpec(_message.Message):
    __slots__ = ("template",)
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: PodTemplateSpec
    def __init__(self, template: _Optional[_Union[PodTemplateSpec, _Mapping]] = ...) -> None: ...

class DaemonSet(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: DaemonSetSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[DaemonSetSpec, _Mapping]] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("template",)
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: PodTemplateSpec
    def __init__(self, template: _Optional[_Union[PodTemplateSpec, _Mapping]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: JobSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ...) -> None: ...

class JobTemplateSpec(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: JobSpec
    def __init__(self, spec: _Optional[_Union[JobSpec, _Mapping]] = ...) -> None: ...

class CronJobSpec(_message.Message):
    __slots__ = ("job_template",)
    JOB_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    job_template: JobTemplateSpec
    def __init__(self, job_template: _Optional[_Union[JobTemplateSpec, _Mapping]] = ...) -> None: ...

class CronJob(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: CronJobSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[CronJobSpec, _Mapping]] = ...) -> None: ...

class ServiceAccount(_message.Message):
    __slots__ = ("metadata", "secrets", "image_pull_secrets")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PULL_SECRETS_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    secrets: _containers.RepeatedCompositeFieldContainer[ObjectReference]
    image_pull_secrets: _containers.RepeatedCompositeFieldContainer[LocalObjectReference]
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., secrets: _Optional[_Iterable[_Union[ObjectReference, _Mapping]]] = ..., image_pull_secrets: _Optional[_Iterable[_Union[LocalObjectReference, _Mapping]]] = ...) -> None: ...

class IngressTLS(_message.Message):
    __slots__ = ("secret_name",)
    SECRET_NAME_FIELD_NUMBER: _ClassVar[int]
    secret_name: bytes
    def __init__(self, secret_name: _Optional[bytes] = ...) -> None: ...

class IngressSpec(_message.Message):
    __slots__ = ("tls",)
    TLS_FIELD_NUMBER: _ClassVar[int]
    tls: _containers.RepeatedCompositeFieldContainer[IngressTLS]
    def __init__(self, tls: _Optional[_Iterable[_Union[IngressTLS, _Mapping]]] = ...) -> None: ...

class Ingress(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: IngressSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[IngressSpec, _Mapping]] = ...) -> None: ...

class PersistentRefAt3(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: SecretReference
    def __init__(self, secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ...) -> None: ...

class PersistentRefAt4(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: SecretReference
    def __init__(self, secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ...) -> None: ...

class PersistentRefAt5(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: SecretReference
    def __init__(self, secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ...) -> None: ...

class PersistentRefAt7(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: SecretReference
    def __init__(self, secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ...) -> None: ...

class PersistentRefAt10(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: SecretReference
    def __init__(self, secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ...) -> None: ...

class StorageOSPersistentVolumeSource(_message.Message):
    __slots__ = ("secret_ref",)
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    secret_ref: ObjectReference
    def __init__(self, secret_ref: _Optional[_Union[ObjectReference, _Mapping]] = ...) -> None: ...

class AzureFilePersistentVolumeSource(_message.Message):
    __slots__ = ("secret_name", "secret_namespace")
    SECRET_NAME_FIELD_NUMBER: _ClassVar[int]
    SECRET_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    secret_name: bytes
    secret_namespace: bytes
    def __init__(self, secret_name: _Optional[bytes] = ..., secret_namespace: _Optional[bytes] = ...) -> None: ...

class CSIPersistentVolumeSource(_message.Message):
    __slots__ = ("controller_publish_secret_ref", "node_stage_secret_ref", "node_publish_secret_ref", "controller_expand_secret_ref", "node_expand_secret_ref")
    CONTROLLER_PUBLISH_SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    NODE_STAGE_SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    NODE_PUBLISH_SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_EXPAND_SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    NODE_EXPAND_SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    controller_publish_secret_ref: SecretReference
    node_stage_secret_ref: SecretReference
    node_publish_secret_ref: SecretReference
    controller_expand_secret_ref: SecretReference
    node_expand_secret_ref: SecretReference
    def __init__(self, controller_publish_secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ..., node_stage_secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ..., node_publish_secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ..., controller_expand_secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ..., node_expand_secret_ref: _Optional[_Union[SecretReference, _Mapping]] = ...) -> None: ...

class PersistentVolumeSource(_message.Message):
    __slots__ = ("rbd", "iscsi", "cinder", "cephfs", "flex_volume", "azure_file", "scale_io", "storageos", "csi")
    RBD_FIELD_NUMBER: _ClassVar[int]
    ISCSI_FIELD_NUMBER: _ClassVar[int]
    CINDER_FIELD_NUMBER: _ClassVar[int]
    CEPHFS_FIELD_NUMBER: _ClassVar[int]
    FLEX_VOLUME_FIELD_NUMBER: _ClassVar[int]
    AZURE_FILE_FIELD_NUMBER: _ClassVar[int]
    SCALE_IO_FIELD_NUMBER: _ClassVar[int]
    STORAGEOS_FIELD_NUMBER: _ClassVar[int]
    CSI_FIELD_NUMBER: _ClassVar[int]
    rbd: PersistentRefAt7
    iscsi: PersistentRefAt10
    cinder: PersistentRefAt4
    cephfs: PersistentRefAt5
    flex_volume: PersistentRefAt3
    azure_file: AzureFilePersistentVolumeSource
    scale_io: PersistentRefAt3
    storageos: StorageOSPersistentVolumeSource
    csi: CSIPersistentVolumeSource
    def __init__(self, rbd: _Optional[_Union[PersistentRefAt7, _Mapping]] = ..., iscsi: _Optional[_Union[PersistentRefAt10, _Mapping]] = ..., cinder: _Optional[_Union[PersistentRefAt4, _Mapping]] = ..., cephfs: _Optional[_Union[PersistentRefAt5, _Mapping]] = ..., flex_volume: _Optional[_Union[PersistentRefAt3, _Mapping]] = ..., azure_file: _Optional[_Union[AzureFilePersistentVolumeSource, _Mapping]] = ..., scale_io: _Optional[_Union[PersistentRefAt3, _Mapping]] = ..., storageos: _Optional[_Union[StorageOSPersistentVolumeSource, _Mapping]] = ..., csi: _Optional[_Union[CSIPersistentVolumeSource, _Mapping]] = ...) -> None: ...

class ClaimReference(_message.Message):
    __slots__ = ("claim_namespace",)
    CLAIM_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    claim_namespace: bytes
    def __init__(self, claim_namespace: _Optional[bytes] = ...) -> None: ...

class PersistentVolumeSpec(_message.Message):
    __slots__ = ("inline", "claim_ref")
    INLINE_FIELD_NUMBER: _ClassVar[int]
    CLAIM_REF_FIELD_NUMBER: _ClassVar[int]
    inline: PersistentVolumeSource
    claim_ref: ClaimReference
    def __init__(self, inline: _Optional[_Union[PersistentVolumeSource, _Mapping]] = ..., claim_ref: _Optional[_Union[ClaimReference, _Mapping]] = ...) -> None: ...

class PersistentVolume(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: PersistentVolumeSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[PersistentVolumeSpec, _Mapping]] = ...) -> None: ...

class VolumeAttachmentSource(_message.Message):
    __slots__ = ("inline_volume_spec",)
    INLINE_VOLUME_SPEC_FIELD_NUMBER: _ClassVar[int]
    inline_volume_spec: PersistentVolumeSpec
    def __init__(self, inline_volume_spec: _Optional[_Union[PersistentVolumeSpec, _Mapping]] = ...) -> None: ...

class VolumeAttachmentSpec(_message.Message):
    __slots__ = ("source",)
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    source: VolumeAttachmentSource
    def __init__(self, source: _Optional[_Union[VolumeAttachmentSource, _Mapping]] = ...) -> None: ...

class VolumeAttachment(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: VolumeAttachmentSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[VolumeAttachmentSpec, _Mapping]] = ...) -> None: ...

class StorageClass(_message.Message):
    __slots__ = ("metadata", "parameters")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ...) -> None: ...

class SecretProviderClassSpec(_message.Message):
    __slots__ = ("secret_objects",)
    SECRET_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    secret_objects: _containers.RepeatedCompositeFieldContainer[SecretName]
    def __init__(self, secret_objects: _Optional[_Iterable[_Union[SecretName, _Mapping]]] = ...) -> None: ...

class SecretProviderClass(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: SecretProviderClassSpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[SecretProviderClassSpec, _Mapping]] = ...) -> None: ...

class GatewayTLS(_message.Message):
    __slots__ = ("certificate_refs",)
    CERTIFICATE_REFS_FIELD_NUMBER: _ClassVar[int]
    certificate_refs: _containers.RepeatedCompositeFieldContainer[ObjectReference]
    def __init__(self, certificate_refs: _Optional[_Iterable[_Union[ObjectReference, _Mapping]]] = ...) -> None: ...

class Listener(_message.Message):
    __slots__ = ("tls",)
    TLS_FIELD_NUMBER: _ClassVar[int]
    tls: GatewayTLS
    def __init__(self, tls: _Optional[_Union[GatewayTLS, _Mapping]] = ...) -> None: ...

class GatewaySpec(_message.Message):
    __slots__ = ("listeners",)
    LISTENERS_FIELD_NUMBER: _ClassVar[int]
    listeners: _containers.RepeatedCompositeFieldContainer[Listener]
    def __init__(self, listeners: _Optional[_Iterable[_Union[Listener, _Mapping]]] = ...) -> None: ...

class Gateway(_message.Message):
    __slots__ = ("metadata", "spec")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: ObjectMeta
    spec: GatewaySpec
    def __init__(self, metadata: _Optional[_Union[ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[GatewaySpec, _Mapping]] = ...) -> None: ...
