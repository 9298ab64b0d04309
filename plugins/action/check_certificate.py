"""Check a certificate and its key on the control machine, before a host is touched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.certificate_files import (
    problem_of_certificate,
    problem_of_key,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.correction import correction, result_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.project import start_of_relative_paths

CERTIFICATE, KEY = "reverse_proxy_tls_certificate_file", "reverse_proxy_tls_key_file"


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with a line for the file that is wrong; nothing of a key is ever shown."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        paths = {CERTIFICATE: self._task.args["certificate"], KEY: self._task.args["key"]}
        texts: dict[str, bytes] = {}
        for name, path in paths.items():
            try:
                texts[name] = self._loader.get_text_file_contents(str(start_of_relative_paths() / path)).encode()
            except (AnsibleError, OSError, UnicodeError) as error:
                reason = "cannot be read"
                if "vault" in str(error).lower():
                    reason = "cannot be decrypted: give --vault-password-file"
                return result | self._refusal(name, path, reason, task_vars)
        problem = problem_of_certificate(texts[CERTIFICATE], self._task.args["names"], datetime.now(UTC))
        if problem:
            return result | self._refusal(CERTIFICATE, paths[CERTIFICATE], problem, task_vars)
        if problem := problem_of_key(texts[KEY], texts[CERTIFICATE]):
            return result | self._refusal(KEY, paths[KEY], problem, task_vars)
        return result | result_of([])

    def _refusal(self, name: str, path: str, problem: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        ending = "pem" if name == CERTIFICATE else "key"
        example = f"{name}: certificates/models.example.org.{ending}"
        if " and not for " in problem:
            problem += "; correct that, or name in reverse_proxy_server_names what it is for"
        return result_of([correction(name, path, f"that file {problem}", example, task_vars)])
