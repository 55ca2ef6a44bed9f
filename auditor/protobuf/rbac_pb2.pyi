from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PolicyRule(_message.Message):
    __slots__ = ("verbs", "api_groups", "resources", "resource_names")
    VERBS_FIELD_NUMBER: _ClassVar[int]
    API_GROUPS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_NAMES_FIELD_NUMBER: _ClassVar[int]
    verbs: _containers.RepeatedScalarFieldContainer[bytes]
    api_groups: _containers.RepeatedScalarFieldContainer[bytes]
    resources: _containers.RepeatedScalarFieldContainer[bytes]
    resource_names: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, verbs: _Optional[_Iterable[bytes]] = ..., api_groups: _Optional[_Iterable[bytes]] = ..., resources: _Optional[_Iterable[bytes]] = ..., resource_names: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Role(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[PolicyRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[PolicyRule, _Mapping]]] = ...) -> None: ...

class Subject(_message.Message):
    __slots__ = ("kind", "name", "namespace")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    kind: bytes
    name: bytes
    namespace: bytes
    def __init__(self, kind: _Optional[bytes] = ..., name: _Optional[bytes] = ..., namespace: _Optional[bytes] = ...) -> None: ...

class RoleRef(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: bytes
    name: bytes
    def __init__(self, kind: _Optional[bytes] = ..., name: _Optional[bytes] = ...) -> None: ...

class Binding(_message.Message):
    __slots__ = ("subjects", "role_ref")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    ROLE_REF_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedCompositeFieldContainer[Subject]
    role_ref: RoleRef
    def __init__(self, subjects: _Optional[_Iterable[_Union[Subject, _Mapping]]] = ..., role_ref: _Optional[_Union[RoleRef, _Mapping]] = ...) -> None: ...
