"""Published keys: anyone can read the values that they encrypt."""

import base64

PUBLISHED = {
    **dict.fromkeys(map(bytes, (16, 24, 32)), "all zero bytes"),
    **{
        base64.b64decode(text): source
        for text, source in {
            # kubernetes/website content/en/docs/tasks/administer-cluster/encrypt-data.md, and k8s.io/apiserver
            # pkg/apis/apiserver/types_encryption.go; that file's other two samples are of no size that AES has
            "c2VjcmV0IGlzIHNlY3VyZQ==": "Kubernetes documentation",
            "dGhpcyBpcyBwYXNzd29yZA==": "Kubernetes documentation",
            "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=": "Kubernetes documentation",
            # rancher.com/docs/rke/latest/en/config-options/secrets-encryption, Rancher's Terraform provider, and the
            # advisory on clusters that kept it
            "RTczRjFDODMwQzAyMDVBREU4NDJBMUZFNDhCNzM5N0I=": "RKE documentation",
            # exercises for the CKS exam, in many public notes on it
            "cGFzc3dvcmRwYXNzd29yZA==": "CKS exercises",
            "dGhpcy1pcy12ZXJ5LXNlYw==": "CKS exercises",
        }.items()
    },
}
"""Publication of each key."""
MARKER = bytes(16)
"""Bytes of the aesgcm key that OpenShift lists in identity mode, with which nothing must be encrypted.

library-go pkg/operator/encryption/crypto/keys.go.
"""
