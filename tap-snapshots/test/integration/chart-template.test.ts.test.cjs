/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`test/integration/chart-template.test.ts > TAP > what is made of values > a Prometheus that shows its own token 1`] = `
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    policyTypes:
      - Ingress
    ingress:
      - ports:
          - port: http
            protocol: TCP
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    policyTypes:
      - Ingress
      - Egress
    ingress:
      - ports:
          - port: redis
            protocol: TCP
        from:
          - podSelector:
              matchLabels:
                app.kubernetes.io/name: fedbiot
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/component: operator
          - namespaceSelector: {}
            podSelector:
              matchExpressions:
                - key: fedbiot.io/job
                  operator: Exists
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    minAvailable: 1
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-secret-key
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata:
    name: fedbiotjobs.fedbiot.io
    labels:
      app.kubernetes.io/component: crd
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/resource-policy: keep
  spec: of crds/schema
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-metrics-reader
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - nonResourceURLs:
        - /metrics
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-editor
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - update
        - patch
        - delete
        - deletecollection
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-viewer
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
      rbac.authorization.k8s.io/aggregate-to-view: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
        - fedbiotjobs/status
      verbs:
        - get
        - list
        - watch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/status
      verbs:
        - update
        - patch
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/finalizers
      verbs:
        - update
    - apiGroups:
        - batch
      resources:
        - jobs
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads/status
      verbs:
        - patch
    - apiGroups:
        - ""
      resources:
        - configmaps
        - secrets
        - services
        - persistentvolumeclaims
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - networking.k8s.io
      resources:
        - networkpolicies
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - ""
      resources:
        - pods
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - events.k8s.io
      resources:
        - events
      verbs:
        - list
        - create
        - patch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - authentication.k8s.io
      resources:
        - tokenreviews
      verbs:
        - create
    - apiGroups:
        - authorization.k8s.io
      resources:
        - subjectaccessreviews
      verbs:
        - create
    - apiGroups:
        - apiextensions.k8s.io
      resources:
        - customresourcedefinitions
      resourceNames:
        - fedbiotjobs.fedbiot.io
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - resourceflavors
        - workloadpriorityclasses
      verbs:
        - get
    - apiGroups:
        - scheduling.k8s.io
      resources:
        - priorityclasses
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-reviews
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-kueue
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      verbs:
        - create
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      resourceNames:
        - fedbiot-operator
      verbs:
        - get
        - update
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-operator-lease
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: redis
    ports:
      - name: redis
        port: 6379
        targetPort: redis
        protocol: TCP
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: operator
    ports:
      - name: http
        port: 8081
        targetPort: http
        protocol: TCP
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 2
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    template:
      metadata:
        labels:
          app.kubernetes.io/component: operator
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        serviceAccountName: fedbiot-operator
        securityContext:
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        topologySpreadConstraints:
          - labelSelector:
              matchLabels:
                app.kubernetes.io/component: operator
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/name: fedbiot
            maxSkew: 1
            topologyKey: kubernetes.io/hostname
            whenUnsatisfiable: ScheduleAnyway
        containers:
          - name: operator
            image: fedbiot/operator:VERSION
            imagePullPolicy: IfNotPresent
            env:
              - name: FEDBIOT_WORKER_IMAGE
                value: fedbiot/worker:VERSION
              - name: FEDBIOT_SECRET_KEY_FILE
                value: /etc/fedbiot/secret-key/key
              - name: FEDBIOT_LOG_LEVEL
                value: info
              - name: FEDBIOT_WORKERS
                value: "4"
              - name: FEDBIOT_METRICS_AUTH
                value: "true"
              - name: REDIS_PASSWORD
                valueFrom:
                  secretKeyRef:
                    name: fedbiot-redis
                    key: password
              - name: FEDBIOT_REDIS_URL
                value: redis://:$(REDIS_PASSWORD)@fedbiot-redis.fedbiot-system.svc:6379
            ports:
              - name: http
                containerPort: 8081
                protocol: TCP
            livenessProbe:
              httpGet:
                path: /healthz
                port: http
            readinessProbe:
              httpGet:
                path: /readyz
                port: http
              periodSeconds: 1
            resources:
              limits:
                memory: 1Gi
              requests:
                cpu: 50m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: secret-key
                mountPath: /etc/fedbiot/secret-key
                readOnly: true
        volumes:
          - name: secret-key
            secret:
              secretName: fedbiot-secret-key
              items:
                - key: key
                  path: key
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 1
    serviceName: fedbiot-redis
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    template:
      metadata:
        labels:
          app.kubernetes.io/component: redis
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        automountServiceAccountToken: false
        securityContext:
          fsGroup: 65532
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        containers:
          - name: redis
            image: docker.io/library/redis:7.4-bookworm
            imagePullPolicy: IfNotPresent
            command:
              - sh
              - -ec
              - |
                umask 077
                hash=$(printf %s "$REDISCLI_AUTH" | sha256sum)
                { echo "user default on #\${hash%% *} ~* &* +@all"; if [ -f users.acl ]; then grep -v '^user default ' users.acl || true; fi; } > users.new
                mv users.new users.acl
                exec redis-server --aclfile /data/users.acl "$@"
              - redis-server
            args:
              - --appendonly
              - yes
              - --save
              - ""
              - --maxmemory
              - 1gb
              - --maxmemory-policy
              - noeviction
              - --dir
              - /data
            env:
              - name: REDISCLI_AUTH
                valueFrom:
                  secretKeyRef:
                    name: fedbiot-redis
                    key: password
            workingDir: /data
            ports:
              - name: redis
                containerPort: 6379
                protocol: TCP
            livenessProbe:
              tcpSocket:
                port: redis
              failureThreshold: 6
            readinessProbe:
              exec:
                command:
                  - redis-cli
                  - -e
                  - ping
              periodSeconds: 5
              timeoutSeconds: 5
            resources:
              limits:
                memory: 2Gi
              requests:
                cpu: 100m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: data
                mountPath: /data
        volumes:
          - name: data
            emptyDir: {}
- apiVersion: coordination.k8s.io/v1
  kind: Lease
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: monitoring.coreos.com/v1
  kind: ServiceMonitor
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    endpoints:
      - port: http
        path: /metrics
        honorLabels: true
        bearerTokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicy
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    failurePolicy: Fail
    matchConstraints:
      resourceRules:
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - configmaps
            - secrets
            - services
            - persistentvolumeclaims
        - apiGroups:
            - networking.k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - networkpolicies
        - apiGroups:
            - batch
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - jobs
        - apiGroups:
            - kueue.x-k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - workloads
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - DELETE
          resources:
            - pods
    matchConditions:
      - name: asked-by-the-operator
        expression: request.userInfo.username == 'system:serviceaccount:fedbiot-system:fedbiot-operator'
    variables:
      - name: subject
        expression: "request.operation == 'DELETE' ? oldObject : object"
      - name: job
        expression: "has(variables.subject.metadata.labels) && 'fedbiot.io/job' in variables.subject.metadata.labels ? variables.subject.metadata.labels['fedbiot.io/job'] : ''"
      - name: makesPods
        expression: request.resource.resource == 'jobs' && (request.operation == 'CREATE' || (request.operation == 'UPDATE' && object.spec.template != oldObject.spec.template))
      - name: pod
        expression: object.spec.template.spec
      - name: containers
        expression: "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])"
    validations:
      - message: the operator may write and delete objects only with its own labels
        expression: variables.job != '' && 'app.kubernetes.io/managed-by' in variables.subject.metadata.labels && variables.subject.metadata.labels['app.kubernetes.io/managed-by'] == 'fedbiot-operator'
      - message: the operator may write only objects whose controller is a FedBiOTJob
        expression: request.operation == 'DELETE' || [object, oldObject].filter(each, each != null).all(each, has(each.metadata.ownerReferences) && each.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind == 'FedBiOTJob' && owner.apiVersion.startsWith('fedbiot.io/') && owner.name == variables.job))
      - message: the operator may write only objects with the names that it gives
        expression: "request.operation == 'DELETE' || object.metadata.name in { 'configmaps': [variables.job + '-job'], 'secrets': [variables.job + '-credentials'], 'services': [variables.job + '-server', 'fbj-' + variables.job + '-server'], 'persistentvolumeclaims': [variables.job + '-output'], 'networkpolicies': [variables.job + '-server', variables.job + '-clients'], 'jobs': [variables.job + '-server', variables.job + '-clients'], 'workloads': ['fedbiotjob-' + variables.job] }[request.resource.resource]"
      - message: the operator's Secrets must be of type Opaque
        expression: request.resource.resource != 'secrets' || object.type == 'Opaque'
      - message: the operator's Services must be reachable only within the cluster
        expression: request.resource.resource != 'services' || (object.spec.type == 'ClusterIP' && !has(object.spec.externalIPs))
      - message: the operator's pods must use the account default, without its token
        expression: "!variables.makesPods || ( (!has(variables.pod.serviceAccountName) || variables.pod.serviceAccountName in ['', 'default']) && (!has(variables.pod.serviceAccount) || variables.pod.serviceAccount in ['', 'default']) && has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)"
      - message: the operator's pods may mount only what the restricted standard allows; admissionPolicy.hostPaths of the chart lets them mount folders of the node
        expression: "!variables.makesPods || !has(variables.pod.volumes) || variables.pod.volumes.all(volume, has(volume.configMap) || has(volume.csi) || has(volume.downwardAPI) || has(volume.emptyDir) || has(volume.ephemeral) || has(volume.image) || has(volume.persistentVolumeClaim) || has(volume.secret))"
      - message: the operator's pods may not use the node's namespaces, nor run as root
        expression: "!variables.makesPods || ( (!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork) && (!has(variables.pod.hostPID) || !variables.pod.hostPID) && (!has(variables.pod.hostIPC) || !variables.pod.hostIPC) && has(variables.pod.securityContext) && has(variables.pod.securityContext.runAsNonRoot) && variables.pod.securityContext.runAsNonRoot && [variables.pod.securityContext].all(context, has(context.runAsUser) && context.runAsUser > 0 && has(context.runAsGroup) && context.runAsGroup > 0 && (!has(context.fsGroup) || context.fsGroup > 0) && (!has(context.supplementalGroups) || context.supplementalGroups.all(group, group > 0)) && (!has(context.sysctls) || size(context.sysctls) == 0) && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && has(context.seccompProfile) && context.seccompProfile.type == 'RuntimeDefault'))"
      - message: the operator's containers may not have privileges
        expression: "!variables.makesPods || variables.containers.all(container, has(container.securityContext) && (!has(container.ports) || container.ports.all(port, !has(port.hostPort) || port.hostPort == 0)) && [container.securityContext].all(context, has(context.allowPrivilegeEscalation) && !context.allowPrivilegeEscalation && (!has(context.privileged) || !context.privileged) && has(context.runAsNonRoot) && context.runAsNonRoot && !has(context.runAsUser) && !has(context.runAsGroup) && has(context.capabilities) && has(context.capabilities.drop) && 'ALL' in context.capabilities.drop && !has(context.capabilities.add) && (!has(context.procMount) || context.procMount == 'Default') && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && (!has(context.seccompProfile) || context.seccompProfile.type == 'RuntimeDefault')))"
      - message: the operator's pods may not have an annotation that turns off AppArmor
        expression: "!variables.makesPods || !has(object.spec.template.metadata.annotations) || object.spec.template.metadata.annotations.all(key, !key.startsWith('container.apparmor.security.beta.kubernetes.io/'))"
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicyBinding
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    policyName: fedbiot-operator.fedbiot-system
    validationActions:
      - Deny
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - get
        - delete
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-test
  subjects:
    - kind: ServiceAccount
      name: fedbiot-test
      namespace: fedbiot-system
- apiVersion: v1
  kind: Pod
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  spec:
    restartPolicy: Never
    serviceAccountName: fedbiot-test
    securityContext:
      runAsGroup: 65532
      runAsNonRoot: true
      runAsUser: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: test
        image: fedbiot/operator:VERSION
        imagePullPolicy: IfNotPresent
        command:
          - node
          - operator/smoke-test.ts
        args:
          - fedbiot-system
          - fedbiot-test
          - "600"
        resources:
          limits:
            memory: 1Gi
          requests:
            cpu: 50m
            memory: 256Mi
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
              - ALL
          readOnlyRootFilesystem: true

`

exports[`test/integration/chart-template.test.ts > TAP > what is made of values > as little as can be 1`] = `
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-secret-key
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: operator
    ports:
      - name: http
        port: 8081
        targetPort: http
        protocol: TCP
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 1
    strategy:
      type: Recreate
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    template:
      metadata:
        labels:
          app.kubernetes.io/component: operator
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        serviceAccountName: given
        securityContext:
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        topologySpreadConstraints:
          - labelSelector:
              matchLabels:
                app.kubernetes.io/component: operator
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/name: fedbiot
            maxSkew: 1
            topologyKey: kubernetes.io/hostname
            whenUnsatisfiable: ScheduleAnyway
        containers:
          - name: operator
            image: fedbiot/operator:VERSION
            imagePullPolicy: IfNotPresent
            env:
              - name: FEDBIOT_WORKER_IMAGE
                value: fedbiot/worker:VERSION
              - name: FEDBIOT_SECRET_KEY_FILE
                value: /etc/fedbiot/secret-key/key
              - name: FEDBIOT_LOG_LEVEL
                value: info
              - name: FEDBIOT_WORKERS
                value: "4"
              - name: FEDBIOT_NO_LEADER_ELECT
                value: "true"
            ports:
              - name: http
                containerPort: 8081
                protocol: TCP
            livenessProbe:
              httpGet:
                path: /healthz
                port: http
            readinessProbe:
              httpGet:
                path: /readyz
                port: http
              periodSeconds: 1
            resources:
              limits:
                memory: 1Gi
              requests:
                cpu: 50m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: secret-key
                mountPath: /etc/fedbiot/secret-key
                readOnly: true
        volumes:
          - name: secret-key
            secret:
              secretName: fedbiot-secret-key
              items:
                - key: key
                  path: key
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - get
        - delete
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-test
  subjects:
    - kind: ServiceAccount
      name: fedbiot-test
      namespace: fedbiot-system
- apiVersion: v1
  kind: Pod
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  spec:
    restartPolicy: Never
    serviceAccountName: fedbiot-test
    securityContext:
      runAsGroup: 65532
      runAsNonRoot: true
      runAsUser: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: test
        image: fedbiot/operator:VERSION
        imagePullPolicy: IfNotPresent
        command:
          - node
          - operator/smoke-test.ts
        args:
          - fedbiot-system
          - fedbiot-test
          - "600"
        resources:
          limits:
            memory: 1Gi
          requests:
            cpu: 50m
            memory: 256Mi
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
              - ALL
          readOnlyRootFilesystem: true

`

exports[`test/integration/chart-template.test.ts > TAP > what is made of values > as much as can be 1`] = `
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: tuning-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    policyTypes:
      - Ingress
      - Egress
    ingress:
      - ports:
          - port: http
            protocol: TCP
        from:
          - namespaceSelector:
              matchLabels:
                kubernetes.io/metadata.name: monitoring
    egress:
      - ports:
          - port: 443
          - port: 53
            protocol: UDP
          - port: 6379
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: tuning-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    policyTypes:
      - Ingress
      - Egress
    ingress:
      - ports:
          - port: redis
            protocol: TCP
        from:
          - podSelector:
              matchLabels:
                app.kubernetes.io/name: fedbiot
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/component: operator
          - namespaceSelector: {}
            podSelector:
              matchExpressions:
                - key: fedbiot.io/job
                  operator: Exists
          - podSelector:
              matchLabels:
                app: redis-exporter
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata:
    name: tuning-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    maxUnavailable: 34%
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: tuning-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
      example.org/role: fedbiot
- kind: ConfigMap
  name: of dashboards/
- kind: ConfigMap
  name: of dashboards/
- kind: ConfigMap
  name: of dashboards/
- apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata:
    name: fedbiotjobs.fedbiot.io
    labels:
      app.kubernetes.io/component: crd
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec: of crds/schema
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: tuning-metrics-reader
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - nonResourceURLs:
        - /metrics
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: tuning-job-editor
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - update
        - patch
        - delete
        - deletecollection
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: tuning-job-viewer
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
      rbac.authorization.k8s.io/aggregate-to-view: "true"
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
        - fedbiotjobs/status
      verbs:
        - get
        - list
        - watch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: tuning-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/status
      verbs:
        - update
        - patch
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/finalizers
      verbs:
        - update
    - apiGroups:
        - batch
      resources:
        - jobs
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads/status
      verbs:
        - patch
    - apiGroups:
        - ""
      resources:
        - configmaps
        - secrets
        - services
        - persistentvolumeclaims
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - networking.k8s.io
      resources:
        - networkpolicies
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - ""
      resources:
        - pods
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - events.k8s.io
      resources:
        - events
      verbs:
        - list
        - create
        - patch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: tuning-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - apiGroups:
        - authentication.k8s.io
      resources:
        - tokenreviews
      verbs:
        - create
    - apiGroups:
        - authorization.k8s.io
      resources:
        - subjectaccessreviews
      verbs:
        - create
    - apiGroups:
        - apiextensions.k8s.io
      resources:
        - customresourcedefinitions
      resourceNames:
        - fedbiotjobs.fedbiot.io
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: tuning-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - resourceflavors
        - workloadpriorityclasses
      verbs:
        - get
    - apiGroups:
        - scheduling.k8s.io
      resources:
        - priorityclasses
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: tuning-metrics-reader
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: tuning-metrics-reader
  subjects:
    - kind: ServiceAccount
      name: prometheus
      namespace: monitoring
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: tuning-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: tuning-operator
  subjects:
    - kind: ServiceAccount
      name: tuning-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: tuning-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: tuning-operator-reviews
  subjects:
    - kind: ServiceAccount
      name: tuning-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: tuning-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: tuning-operator-kueue
  subjects:
    - kind: ServiceAccount
      name: tuning-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: tuning-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  rules:
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      verbs:
        - create
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      resourceNames:
        - fedbiot-operator
      verbs:
        - get
        - update
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: tuning-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: tuning-operator-lease
  subjects:
    - kind: ServiceAccount
      name: tuning-operator
      namespace: fedbiot-system
- apiVersion: v1
  kind: Service
  metadata:
    name: tuning-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: redis
    ports:
      - name: redis
        port: 6379
        targetPort: redis
        protocol: TCP
- apiVersion: v1
  kind: Service
  metadata:
    name: tuning-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/exposed: "false"
      example.org/owner: ml
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: operator
    ports:
      - name: http
        port: 80
        targetPort: http
        protocol: TCP
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: tuning-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    replicas: 3
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    template:
      metadata:
        labels:
          app.kubernetes.io/component: operator
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
          team: ml
          tier: control
        annotations:
          example.org/checked: "true"
          example.org/owner: ml
      spec:
        serviceAccountName: tuning-operator
        imagePullSecrets:
          - name: registry
        priorityClassName: system-cluster-critical
        securityContext:
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        nodeSelector:
          kubernetes.io/arch: amd64
        tolerations:
          - effect: NoSchedule
            key: control
            operator: Exists
        affinity:
          nodeAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              nodeSelectorTerms:
                - matchExpressions:
                    - key: gpu
                      operator: DoesNotExist
        topologySpreadConstraints:
          - labelSelector:
              matchLabels:
                app.kubernetes.io/component: operator
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/name: fedbiot
            maxSkew: 1
            topologyKey: topology.kubernetes.io/zone
            whenUnsatisfiable: DoNotSchedule
        containers:
          - name: operator
            image: registry.example:5000/ml/fedbiot-operator@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
            imagePullPolicy: Always
            env:
              - name: FEDBIOT_WORKER_IMAGE
                value: registry.example:5000/fedbiot/worker:1.2.3
              - name: FEDBIOT_SECRET_KEY_FILE
                value: /etc/fedbiot/secret-key/key
              - name: FEDBIOT_LOG_LEVEL
                value: debug
              - name: FEDBIOT_WORKERS
                value: "16"
              - name: FEDBIOT_HUB_ENDPOINT
                value: https://mirror.example:8443
              - name: FEDBIOT_HUB_PROXY
                value: http://proxy.example:3128
              - name: FEDBIOT_HUB_NO_PROXY
                value: .cluster.local,10.0.0.1
              - name: FEDBIOT_POD_ANNOTATIONS
                value: example.org/,vault.hashicorp.com/role
              - name: FEDBIOT_METRICS_AUTH
                value: "true"
              - name: REDIS_PASSWORD
                valueFrom:
                  secretKeyRef:
                    name: chosen
                    key: secret
              - name: FEDBIOT_REDIS_URL
                value: redis://:$(REDIS_PASSWORD)@tuning-redis.fedbiot-system.svc:6379
              - name: NODE_OPTIONS
                value: --max-old-space-size=768
            ports:
              - name: http
                containerPort: 8081
                protocol: TCP
            livenessProbe:
              httpGet:
                path: /healthz
                port: http
            readinessProbe:
              httpGet:
                path: /readyz
                port: http
              periodSeconds: 1
            resources:
              limits:
                cpu: 1
                memory: 1Gi
              requests:
                cpu: 1
                memory: 1Gi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: secret-key
                mountPath: /etc/fedbiot/secret-key
                readOnly: true
        volumes:
          - name: secret-key
            secret:
              secretName: kept
              items:
                - key: secret
                  path: key
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    name: tuning-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    replicas: 1
    serviceName: tuning-redis
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    template:
      metadata:
        labels:
          app.kubernetes.io/component: redis
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
          team: ml
          tier: data
        annotations:
          example.org/checked: "true"
          example.org/owner: ml
      spec:
        automountServiceAccountToken: false
        imagePullSecrets:
          - name: registry
        priorityClassName: system-cluster-critical
        securityContext:
          fsGroup: 65532
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        nodeSelector:
          disk: fast
        tolerations:
          - key: data
            operator: Exists
        affinity:
          podAntiAffinity: {}
        containers:
          - name: redis
            image: registry.example:5000/library/redis@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
            imagePullPolicy: IfNotPresent
            command:
              - sh
              - -ec
              - |
                umask 077
                hash=$(printf %s "$REDISCLI_AUTH" | sha256sum)
                { echo "user default on #\${hash%% *} ~* &* +@all"; if [ -f users.acl ]; then grep -v '^user default ' users.acl || true; fi; } > users.new
                mv users.new users.acl
                exec redis-server --aclfile /data/users.acl "$@"
              - redis-server
            args:
              - --appendonly
              - yes
              - --save
              - ""
              - --maxmemory
              - 4gb
              - --maxmemory-policy
              - noeviction
              - --dir
              - /data
            env:
              - name: REDISCLI_AUTH
                valueFrom:
                  secretKeyRef:
                    name: chosen
                    key: secret
            workingDir: /data
            ports:
              - name: redis
                containerPort: 6379
                protocol: TCP
            livenessProbe:
              tcpSocket:
                port: redis
              failureThreshold: 6
            readinessProbe:
              exec:
                command:
                  - redis-cli
                  - -e
                  - ping
              periodSeconds: 5
              timeoutSeconds: 5
            resources:
              limits:
                memory: 8Gi
              requests:
                cpu: "1"
                memory: 8Gi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: data
                mountPath: /data
    persistentVolumeClaimRetentionPolicy:
      whenDeleted: Delete
      whenScaled: Retain
    volumeClaimTemplates:
      - apiVersion: v1
        kind: PersistentVolumeClaim
        metadata:
          name: data
          labels:
            app.kubernetes.io/name: fedbiot
            app.kubernetes.io/instance: fedbiot
            app.kubernetes.io/component: redis
        spec:
          accessModes:
            - ReadWriteOnce
          storageClassName: fast
          resources:
            requests:
              storage: 16Gi
- apiVersion: coordination.k8s.io/v1
  kind: Lease
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
- apiVersion: monitoring.coreos.com/v1
  kind: PodMonitor
  metadata:
    name: tuning-workers
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      release: kube-prometheus-stack
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    namespaceSelector:
      any: true
    selector:
      matchExpressions:
        - key: fedbiot.io/job
          operator: Exists
    podMetricsEndpoints:
      - port: metrics
        path: /metrics
        honorLabels: true
        relabelings:
          - action: replace
            replacement: one
            targetLabel: cluster
- apiVersion: monitoring.coreos.com/v1
  kind: PrometheusRule
  metadata:
    name: tuning
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      release: kube-prometheus-stack
      team: ml
    annotations:
      example.org/owner: ml
  spec: of rules/
- apiVersion: monitoring.coreos.com/v1
  kind: ServiceMonitor
  metadata:
    name: tuning-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      release: kube-prometheus-stack
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    endpoints:
      - port: http
        path: /metrics
        honorLabels: true
        interval: 15s
        scrapeTimeout: 10s
        metricRelabelings:
          - action: drop
            regex: nodejs_.*
            sourceLabels:
              - __name__
        authorization:
          credentials:
            name: prometheus-token
            key: token
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicy
  metadata:
    name: tuning-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    failurePolicy: Fail
    matchConstraints:
      resourceRules:
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - configmaps
            - secrets
            - services
            - persistentvolumeclaims
        - apiGroups:
            - networking.k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - networkpolicies
        - apiGroups:
            - batch
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - jobs
        - apiGroups:
            - kueue.x-k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - workloads
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - DELETE
          resources:
            - pods
    matchConditions:
      - name: asked-by-the-operator
        expression: request.userInfo.username == 'system:serviceaccount:fedbiot-system:tuning-operator'
    variables:
      - name: subject
        expression: "request.operation == 'DELETE' ? oldObject : object"
      - name: job
        expression: "has(variables.subject.metadata.labels) && 'fedbiot.io/job' in variables.subject.metadata.labels ? variables.subject.metadata.labels['fedbiot.io/job'] : ''"
      - name: makesPods
        expression: request.resource.resource == 'jobs' && (request.operation == 'CREATE' || (request.operation == 'UPDATE' && object.spec.template != oldObject.spec.template))
      - name: pod
        expression: object.spec.template.spec
      - name: containers
        expression: "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])"
    validations:
      - message: the operator may write and delete objects only with its own labels
        expression: variables.job != '' && 'app.kubernetes.io/managed-by' in variables.subject.metadata.labels && variables.subject.metadata.labels['app.kubernetes.io/managed-by'] == 'fedbiot-operator'
      - message: the operator may write only objects whose controller is a FedBiOTJob
        expression: request.operation == 'DELETE' || [object, oldObject].filter(each, each != null).all(each, has(each.metadata.ownerReferences) && each.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind == 'FedBiOTJob' && owner.apiVersion.startsWith('fedbiot.io/') && owner.name == variables.job))
      - message: the operator may write only objects with the names that it gives
        expression: "request.operation == 'DELETE' || object.metadata.name in { 'configmaps': [variables.job + '-job'], 'secrets': [variables.job + '-credentials'], 'services': [variables.job + '-server', 'fbj-' + variables.job + '-server'], 'persistentvolumeclaims': [variables.job + '-output'], 'networkpolicies': [variables.job + '-server', variables.job + '-clients'], 'jobs': [variables.job + '-server', variables.job + '-clients'], 'workloads': ['fedbiotjob-' + variables.job] }[request.resource.resource]"
      - message: the operator's Secrets must be of type Opaque
        expression: request.resource.resource != 'secrets' || object.type == 'Opaque'
      - message: the operator's Services must be reachable only within the cluster
        expression: request.resource.resource != 'services' || (object.spec.type == 'ClusterIP' && !has(object.spec.externalIPs))
      - message: the operator's pods must use the account default, without its token
        expression: "!variables.makesPods || ( (!has(variables.pod.serviceAccountName) || variables.pod.serviceAccountName in ['', 'default']) && (!has(variables.pod.serviceAccount) || variables.pod.serviceAccount in ['', 'default']) && has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)"
      - message: the operator's pods may mount only what the restricted standard allows, and folders of the node
        expression: "!variables.makesPods || !has(variables.pod.volumes) || variables.pod.volumes.all(volume, has(volume.configMap) || has(volume.csi) || has(volume.downwardAPI) || has(volume.emptyDir) || has(volume.ephemeral) || has(volume.image) || has(volume.persistentVolumeClaim) || has(volume.secret) || has(volume.hostPath))"
      - message: the operator's pods may not use the node's namespaces, nor run as root
        expression: "!variables.makesPods || ( (!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork) && (!has(variables.pod.hostPID) || !variables.pod.hostPID) && (!has(variables.pod.hostIPC) || !variables.pod.hostIPC) && has(variables.pod.securityContext) && has(variables.pod.securityContext.runAsNonRoot) && variables.pod.securityContext.runAsNonRoot && [variables.pod.securityContext].all(context, has(context.runAsUser) && context.runAsUser > 0 && has(context.runAsGroup) && context.runAsGroup > 0 && (!has(context.fsGroup) || context.fsGroup > 0) && (!has(context.supplementalGroups) || context.supplementalGroups.all(group, group > 0)) && (!has(context.sysctls) || size(context.sysctls) == 0) && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && has(context.seccompProfile) && context.seccompProfile.type == 'RuntimeDefault'))"
      - message: the operator's containers may not have privileges
        expression: "!variables.makesPods || variables.containers.all(container, has(container.securityContext) && (!has(container.ports) || container.ports.all(port, !has(port.hostPort) || port.hostPort == 0)) && [container.securityContext].all(context, has(context.allowPrivilegeEscalation) && !context.allowPrivilegeEscalation && (!has(context.privileged) || !context.privileged) && has(context.runAsNonRoot) && context.runAsNonRoot && !has(context.runAsUser) && !has(context.runAsGroup) && has(context.capabilities) && has(context.capabilities.drop) && 'ALL' in context.capabilities.drop && !has(context.capabilities.add) && (!has(context.procMount) || context.procMount == 'Default') && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && (!has(context.seccompProfile) || context.seccompProfile.type == 'RuntimeDefault')))"
      - message: the operator's pods may not have an annotation that turns off AppArmor
        expression: "!variables.makesPods || !has(object.spec.template.metadata.annotations) || object.spec.template.metadata.annotations.all(key, !key.startsWith('container.apparmor.security.beta.kubernetes.io/'))"
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicyBinding
  metadata:
    name: tuning-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
  spec:
    policyName: tuning-operator.fedbiot-system
    validationActions:
      - Deny
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: tuning-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: tuning-test
    namespace: team-a
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - get
        - delete
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: tuning-test
    namespace: team-a
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: tuning-test
  subjects:
    - kind: ServiceAccount
      name: tuning-test
      namespace: fedbiot-system
- apiVersion: v1
  kind: Pod
  metadata:
    name: tuning-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      team: ml
    annotations:
      example.org/owner: ml
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  spec:
    restartPolicy: Never
    serviceAccountName: tuning-test
    imagePullSecrets:
      - name: registry
    securityContext:
      runAsGroup: 65532
      runAsNonRoot: true
      runAsUser: 65532
      seccompProfile:
        type: RuntimeDefault
    nodeSelector:
      kubernetes.io/arch: amd64
    tolerations:
      - effect: NoSchedule
        key: control
        operator: Exists
    containers:
      - name: test
        image: registry.example:5000/ml/fedbiot-operator@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        imagePullPolicy: Always
        command:
          - node
          - operator/smoke-test.ts
        args:
          - team-a
          - tuning-test
          - "300"
        resources:
          limits:
            cpu: 1
            memory: 1Gi
          requests:
            cpu: 1
            memory: 1Gi
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
              - ALL
          readOnlyRootFilesystem: true

`

exports[`test/integration/chart-template.test.ts > TAP > what is made of values > default 1`] = `
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    policyTypes:
      - Ingress
    ingress:
      - ports:
          - port: http
            protocol: TCP
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    policyTypes:
      - Ingress
      - Egress
    ingress:
      - ports:
          - port: redis
            protocol: TCP
        from:
          - podSelector:
              matchLabels:
                app.kubernetes.io/name: fedbiot
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/component: operator
          - namespaceSelector: {}
            podSelector:
              matchExpressions:
                - key: fedbiot.io/job
                  operator: Exists
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    minAvailable: 1
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-secret-key
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata:
    name: fedbiotjobs.fedbiot.io
    labels:
      app.kubernetes.io/component: crd
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/resource-policy: keep
  spec: of crds/schema
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-editor
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - update
        - patch
        - delete
        - deletecollection
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-viewer
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
      rbac.authorization.k8s.io/aggregate-to-view: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
        - fedbiotjobs/status
      verbs:
        - get
        - list
        - watch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/status
      verbs:
        - update
        - patch
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/finalizers
      verbs:
        - update
    - apiGroups:
        - batch
      resources:
        - jobs
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads/status
      verbs:
        - patch
    - apiGroups:
        - ""
      resources:
        - configmaps
        - secrets
        - services
        - persistentvolumeclaims
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - networking.k8s.io
      resources:
        - networkpolicies
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - ""
      resources:
        - pods
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - events.k8s.io
      resources:
        - events
      verbs:
        - list
        - create
        - patch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - authentication.k8s.io
      resources:
        - tokenreviews
      verbs:
        - create
    - apiGroups:
        - authorization.k8s.io
      resources:
        - subjectaccessreviews
      verbs:
        - create
    - apiGroups:
        - apiextensions.k8s.io
      resources:
        - customresourcedefinitions
      resourceNames:
        - fedbiotjobs.fedbiot.io
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - resourceflavors
        - workloadpriorityclasses
      verbs:
        - get
    - apiGroups:
        - scheduling.k8s.io
      resources:
        - priorityclasses
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-reviews
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-kueue
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      verbs:
        - create
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      resourceNames:
        - fedbiot-operator
      verbs:
        - get
        - update
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-operator-lease
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: redis
    ports:
      - name: redis
        port: 6379
        targetPort: redis
        protocol: TCP
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: operator
    ports:
      - name: http
        port: 8081
        targetPort: http
        protocol: TCP
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 2
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    template:
      metadata:
        labels:
          app.kubernetes.io/component: operator
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        serviceAccountName: fedbiot-operator
        securityContext:
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        topologySpreadConstraints:
          - labelSelector:
              matchLabels:
                app.kubernetes.io/component: operator
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/name: fedbiot
            maxSkew: 1
            topologyKey: kubernetes.io/hostname
            whenUnsatisfiable: ScheduleAnyway
        containers:
          - name: operator
            image: fedbiot/operator:VERSION
            imagePullPolicy: IfNotPresent
            env:
              - name: FEDBIOT_WORKER_IMAGE
                value: fedbiot/worker:VERSION
              - name: FEDBIOT_SECRET_KEY_FILE
                value: /etc/fedbiot/secret-key/key
              - name: FEDBIOT_LOG_LEVEL
                value: info
              - name: FEDBIOT_WORKERS
                value: "4"
              - name: REDIS_PASSWORD
                valueFrom:
                  secretKeyRef:
                    name: fedbiot-redis
                    key: password
              - name: FEDBIOT_REDIS_URL
                value: redis://:$(REDIS_PASSWORD)@fedbiot-redis.fedbiot-system.svc:6379
            ports:
              - name: http
                containerPort: 8081
                protocol: TCP
            livenessProbe:
              httpGet:
                path: /healthz
                port: http
            readinessProbe:
              httpGet:
                path: /readyz
                port: http
              periodSeconds: 1
            resources:
              limits:
                memory: 1Gi
              requests:
                cpu: 50m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: secret-key
                mountPath: /etc/fedbiot/secret-key
                readOnly: true
        volumes:
          - name: secret-key
            secret:
              secretName: fedbiot-secret-key
              items:
                - key: key
                  path: key
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 1
    serviceName: fedbiot-redis
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    template:
      metadata:
        labels:
          app.kubernetes.io/component: redis
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        automountServiceAccountToken: false
        securityContext:
          fsGroup: 65532
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        containers:
          - name: redis
            image: docker.io/library/redis:7.4-bookworm
            imagePullPolicy: IfNotPresent
            command:
              - sh
              - -ec
              - |
                umask 077
                hash=$(printf %s "$REDISCLI_AUTH" | sha256sum)
                { echo "user default on #\${hash%% *} ~* &* +@all"; if [ -f users.acl ]; then grep -v '^user default ' users.acl || true; fi; } > users.new
                mv users.new users.acl
                exec redis-server --aclfile /data/users.acl "$@"
              - redis-server
            args:
              - --appendonly
              - yes
              - --save
              - ""
              - --maxmemory
              - 1gb
              - --maxmemory-policy
              - noeviction
              - --dir
              - /data
            env:
              - name: REDISCLI_AUTH
                valueFrom:
                  secretKeyRef:
                    name: fedbiot-redis
                    key: password
            workingDir: /data
            ports:
              - name: redis
                containerPort: 6379
                protocol: TCP
            livenessProbe:
              tcpSocket:
                port: redis
              failureThreshold: 6
            readinessProbe:
              exec:
                command:
                  - redis-cli
                  - -e
                  - ping
              periodSeconds: 5
              timeoutSeconds: 5
            resources:
              limits:
                memory: 2Gi
              requests:
                cpu: 100m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: data
                mountPath: /data
    persistentVolumeClaimRetentionPolicy:
      whenDeleted: Retain
      whenScaled: Retain
    volumeClaimTemplates:
      - apiVersion: v1
        kind: PersistentVolumeClaim
        metadata:
          name: data
          labels:
            app.kubernetes.io/name: fedbiot
            app.kubernetes.io/instance: fedbiot
            app.kubernetes.io/component: redis
        spec:
          accessModes:
            - ReadWriteOnce
          resources:
            requests:
              storage: 8Gi
- apiVersion: coordination.k8s.io/v1
  kind: Lease
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicy
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    failurePolicy: Fail
    matchConstraints:
      resourceRules:
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - configmaps
            - secrets
            - services
            - persistentvolumeclaims
        - apiGroups:
            - networking.k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - networkpolicies
        - apiGroups:
            - batch
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - jobs
        - apiGroups:
            - kueue.x-k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - workloads
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - DELETE
          resources:
            - pods
    matchConditions:
      - name: asked-by-the-operator
        expression: request.userInfo.username == 'system:serviceaccount:fedbiot-system:fedbiot-operator'
    variables:
      - name: subject
        expression: "request.operation == 'DELETE' ? oldObject : object"
      - name: job
        expression: "has(variables.subject.metadata.labels) && 'fedbiot.io/job' in variables.subject.metadata.labels ? variables.subject.metadata.labels['fedbiot.io/job'] : ''"
      - name: makesPods
        expression: request.resource.resource == 'jobs' && (request.operation == 'CREATE' || (request.operation == 'UPDATE' && object.spec.template != oldObject.spec.template))
      - name: pod
        expression: object.spec.template.spec
      - name: containers
        expression: "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])"
    validations:
      - message: the operator may write and delete objects only with its own labels
        expression: variables.job != '' && 'app.kubernetes.io/managed-by' in variables.subject.metadata.labels && variables.subject.metadata.labels['app.kubernetes.io/managed-by'] == 'fedbiot-operator'
      - message: the operator may write only objects whose controller is a FedBiOTJob
        expression: request.operation == 'DELETE' || [object, oldObject].filter(each, each != null).all(each, has(each.metadata.ownerReferences) && each.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind == 'FedBiOTJob' && owner.apiVersion.startsWith('fedbiot.io/') && owner.name == variables.job))
      - message: the operator may write only objects with the names that it gives
        expression: "request.operation == 'DELETE' || object.metadata.name in { 'configmaps': [variables.job + '-job'], 'secrets': [variables.job + '-credentials'], 'services': [variables.job + '-server', 'fbj-' + variables.job + '-server'], 'persistentvolumeclaims': [variables.job + '-output'], 'networkpolicies': [variables.job + '-server', variables.job + '-clients'], 'jobs': [variables.job + '-server', variables.job + '-clients'], 'workloads': ['fedbiotjob-' + variables.job] }[request.resource.resource]"
      - message: the operator's Secrets must be of type Opaque
        expression: request.resource.resource != 'secrets' || object.type == 'Opaque'
      - message: the operator's Services must be reachable only within the cluster
        expression: request.resource.resource != 'services' || (object.spec.type == 'ClusterIP' && !has(object.spec.externalIPs))
      - message: the operator's pods must use the account default, without its token
        expression: "!variables.makesPods || ( (!has(variables.pod.serviceAccountName) || variables.pod.serviceAccountName in ['', 'default']) && (!has(variables.pod.serviceAccount) || variables.pod.serviceAccount in ['', 'default']) && has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)"
      - message: the operator's pods may mount only what the restricted standard allows; admissionPolicy.hostPaths of the chart lets them mount folders of the node
        expression: "!variables.makesPods || !has(variables.pod.volumes) || variables.pod.volumes.all(volume, has(volume.configMap) || has(volume.csi) || has(volume.downwardAPI) || has(volume.emptyDir) || has(volume.ephemeral) || has(volume.image) || has(volume.persistentVolumeClaim) || has(volume.secret))"
      - message: the operator's pods may not use the node's namespaces, nor run as root
        expression: "!variables.makesPods || ( (!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork) && (!has(variables.pod.hostPID) || !variables.pod.hostPID) && (!has(variables.pod.hostIPC) || !variables.pod.hostIPC) && has(variables.pod.securityContext) && has(variables.pod.securityContext.runAsNonRoot) && variables.pod.securityContext.runAsNonRoot && [variables.pod.securityContext].all(context, has(context.runAsUser) && context.runAsUser > 0 && has(context.runAsGroup) && context.runAsGroup > 0 && (!has(context.fsGroup) || context.fsGroup > 0) && (!has(context.supplementalGroups) || context.supplementalGroups.all(group, group > 0)) && (!has(context.sysctls) || size(context.sysctls) == 0) && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && has(context.seccompProfile) && context.seccompProfile.type == 'RuntimeDefault'))"
      - message: the operator's containers may not have privileges
        expression: "!variables.makesPods || variables.containers.all(container, has(container.securityContext) && (!has(container.ports) || container.ports.all(port, !has(port.hostPort) || port.hostPort == 0)) && [container.securityContext].all(context, has(context.allowPrivilegeEscalation) && !context.allowPrivilegeEscalation && (!has(context.privileged) || !context.privileged) && has(context.runAsNonRoot) && context.runAsNonRoot && !has(context.runAsUser) && !has(context.runAsGroup) && has(context.capabilities) && has(context.capabilities.drop) && 'ALL' in context.capabilities.drop && !has(context.capabilities.add) && (!has(context.procMount) || context.procMount == 'Default') && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && (!has(context.seccompProfile) || context.seccompProfile.type == 'RuntimeDefault')))"
      - message: the operator's pods may not have an annotation that turns off AppArmor
        expression: "!variables.makesPods || !has(object.spec.template.metadata.annotations) || object.spec.template.metadata.annotations.all(key, !key.startsWith('container.apparmor.security.beta.kubernetes.io/'))"
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicyBinding
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    policyName: fedbiot-operator.fedbiot-system
    validationActions:
      - Deny
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - get
        - delete
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-test
  subjects:
    - kind: ServiceAccount
      name: fedbiot-test
      namespace: fedbiot-system
- apiVersion: v1
  kind: Pod
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  spec:
    restartPolicy: Never
    serviceAccountName: fedbiot-test
    securityContext:
      runAsGroup: 65532
      runAsNonRoot: true
      runAsUser: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: test
        image: fedbiot/operator:VERSION
        imagePullPolicy: IfNotPresent
        command:
          - node
          - operator/smoke-test.ts
        args:
          - fedbiot-system
          - fedbiot-test
          - "600"
        resources:
          limits:
            memory: 1Gi
          requests:
            cpu: 50m
            memory: 256Mi
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
              - ALL
          readOnlyRootFilesystem: true

`

exports[`test/integration/chart-template.test.ts > TAP > what is made of values > external Redis with an authority 1`] = `
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    policyTypes:
      - Ingress
    ingress:
      - ports:
          - port: http
            protocol: TCP
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    minAvailable: 1
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-secret-key
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata:
    name: fedbiotjobs.fedbiot.io
    labels:
      app.kubernetes.io/component: crd
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/resource-policy: keep
  spec: of crds/schema
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-editor
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - update
        - patch
        - delete
        - deletecollection
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-viewer
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
      rbac.authorization.k8s.io/aggregate-to-view: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
        - fedbiotjobs/status
      verbs:
        - get
        - list
        - watch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/status
      verbs:
        - update
        - patch
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/finalizers
      verbs:
        - update
    - apiGroups:
        - batch
      resources:
        - jobs
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads/status
      verbs:
        - patch
    - apiGroups:
        - ""
      resources:
        - configmaps
        - secrets
        - services
        - persistentvolumeclaims
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - networking.k8s.io
      resources:
        - networkpolicies
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - ""
      resources:
        - pods
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - events.k8s.io
      resources:
        - events
      verbs:
        - list
        - create
        - patch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - authentication.k8s.io
      resources:
        - tokenreviews
      verbs:
        - create
    - apiGroups:
        - authorization.k8s.io
      resources:
        - subjectaccessreviews
      verbs:
        - create
    - apiGroups:
        - apiextensions.k8s.io
      resources:
        - customresourcedefinitions
      resourceNames:
        - fedbiotjobs.fedbiot.io
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - resourceflavors
        - workloadpriorityclasses
      verbs:
        - get
    - apiGroups:
        - scheduling.k8s.io
      resources:
        - priorityclasses
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-reviews
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-kueue
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      verbs:
        - create
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      resourceNames:
        - fedbiot-operator
      verbs:
        - get
        - update
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-operator-lease
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: operator
    ports:
      - name: http
        port: 8081
        targetPort: http
        protocol: TCP
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 2
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    template:
      metadata:
        labels:
          app.kubernetes.io/component: operator
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        serviceAccountName: fedbiot-operator
        securityContext:
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        topologySpreadConstraints:
          - labelSelector:
              matchLabels:
                app.kubernetes.io/component: operator
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/name: fedbiot
            maxSkew: 1
            topologyKey: kubernetes.io/hostname
            whenUnsatisfiable: ScheduleAnyway
        containers:
          - name: operator
            image: fedbiot/operator:VERSION
            imagePullPolicy: IfNotPresent
            env:
              - name: FEDBIOT_WORKER_IMAGE
                value: fedbiot/worker:VERSION
              - name: FEDBIOT_SECRET_KEY_FILE
                value: /etc/fedbiot/secret-key/key
              - name: FEDBIOT_LOG_LEVEL
                value: info
              - name: FEDBIOT_WORKERS
                value: "4"
              - name: FEDBIOT_REDIS_URL
                valueFrom:
                  secretKeyRef:
                    name: managed-redis
                    key: url
              - name: FEDBIOT_ALLOW_SHARED_REDIS_CREDENTIALS
                value: "true"
              - name: FEDBIOT_REDIS_CA_FILE
                value: /etc/fedbiot/redis-ca/ca.crt
            ports:
              - name: http
                containerPort: 8081
                protocol: TCP
            livenessProbe:
              httpGet:
                path: /healthz
                port: http
            readinessProbe:
              httpGet:
                path: /readyz
                port: http
              periodSeconds: 1
            resources:
              limits:
                memory: 1Gi
              requests:
                cpu: 50m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: secret-key
                mountPath: /etc/fedbiot/secret-key
                readOnly: true
              - name: redis-ca
                mountPath: /etc/fedbiot/redis-ca
                readOnly: true
        volumes:
          - name: secret-key
            secret:
              secretName: fedbiot-secret-key
              items:
                - key: key
                  path: key
          - name: redis-ca
            secret:
              secretName: managed-redis
              items:
                - key: ca.crt
                  path: ca.crt
- apiVersion: coordination.k8s.io/v1
  kind: Lease
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicy
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    failurePolicy: Fail
    matchConstraints:
      resourceRules:
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - configmaps
            - secrets
            - services
            - persistentvolumeclaims
        - apiGroups:
            - networking.k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - networkpolicies
        - apiGroups:
            - batch
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - jobs
        - apiGroups:
            - kueue.x-k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - workloads
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - DELETE
          resources:
            - pods
    matchConditions:
      - name: asked-by-the-operator
        expression: request.userInfo.username == 'system:serviceaccount:fedbiot-system:fedbiot-operator'
    variables:
      - name: subject
        expression: "request.operation == 'DELETE' ? oldObject : object"
      - name: job
        expression: "has(variables.subject.metadata.labels) && 'fedbiot.io/job' in variables.subject.metadata.labels ? variables.subject.metadata.labels['fedbiot.io/job'] : ''"
      - name: makesPods
        expression: request.resource.resource == 'jobs' && (request.operation == 'CREATE' || (request.operation == 'UPDATE' && object.spec.template != oldObject.spec.template))
      - name: pod
        expression: object.spec.template.spec
      - name: containers
        expression: "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])"
    validations:
      - message: the operator may write and delete objects only with its own labels
        expression: variables.job != '' && 'app.kubernetes.io/managed-by' in variables.subject.metadata.labels && variables.subject.metadata.labels['app.kubernetes.io/managed-by'] == 'fedbiot-operator'
      - message: the operator may write only objects whose controller is a FedBiOTJob
        expression: request.operation == 'DELETE' || [object, oldObject].filter(each, each != null).all(each, has(each.metadata.ownerReferences) && each.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind == 'FedBiOTJob' && owner.apiVersion.startsWith('fedbiot.io/') && owner.name == variables.job))
      - message: the operator may write only objects with the names that it gives
        expression: "request.operation == 'DELETE' || object.metadata.name in { 'configmaps': [variables.job + '-job'], 'secrets': [variables.job + '-credentials'], 'services': [variables.job + '-server', 'fbj-' + variables.job + '-server'], 'persistentvolumeclaims': [variables.job + '-output'], 'networkpolicies': [variables.job + '-server', variables.job + '-clients'], 'jobs': [variables.job + '-server', variables.job + '-clients'], 'workloads': ['fedbiotjob-' + variables.job] }[request.resource.resource]"
      - message: the operator's Secrets must be of type Opaque
        expression: request.resource.resource != 'secrets' || object.type == 'Opaque'
      - message: the operator's Services must be reachable only within the cluster
        expression: request.resource.resource != 'services' || (object.spec.type == 'ClusterIP' && !has(object.spec.externalIPs))
      - message: the operator's pods must use the account default, without its token
        expression: "!variables.makesPods || ( (!has(variables.pod.serviceAccountName) || variables.pod.serviceAccountName in ['', 'default']) && (!has(variables.pod.serviceAccount) || variables.pod.serviceAccount in ['', 'default']) && has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)"
      - message: the operator's pods may mount only what the restricted standard allows; admissionPolicy.hostPaths of the chart lets them mount folders of the node
        expression: "!variables.makesPods || !has(variables.pod.volumes) || variables.pod.volumes.all(volume, has(volume.configMap) || has(volume.csi) || has(volume.downwardAPI) || has(volume.emptyDir) || has(volume.ephemeral) || has(volume.image) || has(volume.persistentVolumeClaim) || has(volume.secret))"
      - message: the operator's pods may not use the node's namespaces, nor run as root
        expression: "!variables.makesPods || ( (!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork) && (!has(variables.pod.hostPID) || !variables.pod.hostPID) && (!has(variables.pod.hostIPC) || !variables.pod.hostIPC) && has(variables.pod.securityContext) && has(variables.pod.securityContext.runAsNonRoot) && variables.pod.securityContext.runAsNonRoot && [variables.pod.securityContext].all(context, has(context.runAsUser) && context.runAsUser > 0 && has(context.runAsGroup) && context.runAsGroup > 0 && (!has(context.fsGroup) || context.fsGroup > 0) && (!has(context.supplementalGroups) || context.supplementalGroups.all(group, group > 0)) && (!has(context.sysctls) || size(context.sysctls) == 0) && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && has(context.seccompProfile) && context.seccompProfile.type == 'RuntimeDefault'))"
      - message: the operator's containers may not have privileges
        expression: "!variables.makesPods || variables.containers.all(container, has(container.securityContext) && (!has(container.ports) || container.ports.all(port, !has(port.hostPort) || port.hostPort == 0)) && [container.securityContext].all(context, has(context.allowPrivilegeEscalation) && !context.allowPrivilegeEscalation && (!has(context.privileged) || !context.privileged) && has(context.runAsNonRoot) && context.runAsNonRoot && !has(context.runAsUser) && !has(context.runAsGroup) && has(context.capabilities) && has(context.capabilities.drop) && 'ALL' in context.capabilities.drop && !has(context.capabilities.add) && (!has(context.procMount) || context.procMount == 'Default') && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && (!has(context.seccompProfile) || context.seccompProfile.type == 'RuntimeDefault')))"
      - message: the operator's pods may not have an annotation that turns off AppArmor
        expression: "!variables.makesPods || !has(object.spec.template.metadata.annotations) || object.spec.template.metadata.annotations.all(key, !key.startsWith('container.apparmor.security.beta.kubernetes.io/'))"
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicyBinding
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    policyName: fedbiot-operator.fedbiot-system
    validationActions:
      - Deny
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - get
        - delete
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-test
  subjects:
    - kind: ServiceAccount
      name: fedbiot-test
      namespace: fedbiot-system
- apiVersion: v1
  kind: Pod
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  spec:
    restartPolicy: Never
    serviceAccountName: fedbiot-test
    securityContext:
      runAsGroup: 65532
      runAsNonRoot: true
      runAsUser: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: test
        image: fedbiot/operator:VERSION
        imagePullPolicy: IfNotPresent
        command:
          - node
          - operator/smoke-test.ts
        args:
          - fedbiot-system
          - fedbiot-test
          - "600"
        resources:
          limits:
            memory: 1Gi
          requests:
            cpu: 50m
            memory: 256Mi
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
              - ALL
          readOnlyRootFilesystem: true

`

exports[`test/integration/chart-template.test.ts > TAP > what is made of values > some namespaces 1`] = `
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    policyTypes:
      - Ingress
    ingress:
      - ports:
          - port: http
            protocol: TCP
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    podSelector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    policyTypes:
      - Ingress
      - Egress
    ingress:
      - ports:
          - port: redis
            protocol: TCP
        from:
          - podSelector:
              matchLabels:
                app.kubernetes.io/name: fedbiot
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/component: operator
          - namespaceSelector: {}
            podSelector:
              matchExpressions:
                - key: fedbiot.io/job
                  operator: Exists
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    minAvailable: 1
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: v1
  kind: Secret
  metadata:
    name: fedbiot-secret-key
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  type: Opaque
  data: made
- apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  metadata:
    name: fedbiotjobs.fedbiot.io
    labels:
      app.kubernetes.io/component: crd
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/resource-policy: keep
  spec: of crds/schema
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-editor
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - update
        - patch
        - delete
        - deletecollection
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-job-viewer
    labels:
      app.kubernetes.io/component: users
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
      rbac.authorization.k8s.io/aggregate-to-admin: "true"
      rbac.authorization.k8s.io/aggregate-to-edit: "true"
      rbac.authorization.k8s.io/aggregate-to-view: "true"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
        - fedbiotjobs/status
      verbs:
        - get
        - list
        - watch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/status
      verbs:
        - update
        - patch
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs/finalizers
      verbs:
        - update
    - apiGroups:
        - batch
      resources:
        - jobs
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads
      verbs:
        - get
        - list
        - watch
        - create
        - patch
        - delete
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - workloads/status
      verbs:
        - patch
    - apiGroups:
        - ""
      resources:
        - configmaps
        - secrets
        - services
        - persistentvolumeclaims
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - networking.k8s.io
      resources:
        - networkpolicies
      verbs:
        - get
        - list
        - watch
        - create
        - patch
    - apiGroups:
        - ""
      resources:
        - pods
      verbs:
        - get
        - list
        - watch
        - delete
    - apiGroups:
        - events.k8s.io
      resources:
        - events
      verbs:
        - list
        - create
        - patch
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - authentication.k8s.io
      resources:
        - tokenreviews
      verbs:
        - create
    - apiGroups:
        - authorization.k8s.io
      resources:
        - subjectaccessreviews
      verbs:
        - create
    - apiGroups:
        - apiextensions.k8s.io
      resources:
        - customresourcedefinitions
      resourceNames:
        - fedbiotjobs.fedbiot.io
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - kueue.x-k8s.io
      resources:
        - resourceflavors
        - workloadpriorityclasses
      verbs:
        - get
    - apiGroups:
        - scheduling.k8s.io
      resources:
        - priorityclasses
      verbs:
        - get
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-reviews
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-reviews
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: fedbiot-operator-kueue
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator-kueue
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  rules:
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      verbs:
        - create
    - apiGroups:
        - coordination.k8s.io
      resources:
        - leases
      resourceNames:
        - fedbiot-operator
      verbs:
        - get
        - update
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-operator
    namespace: team-a
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-operator
    namespace: team-b
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: ClusterRole
    name: fedbiot-operator
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-operator-lease
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-operator-lease
  subjects:
    - kind: ServiceAccount
      name: fedbiot-operator
      namespace: fedbiot-system
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: redis
    ports:
      - name: redis
        port: 6379
        targetPort: redis
        protocol: TCP
- apiVersion: v1
  kind: Service
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    selector:
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/component: operator
    ports:
      - name: http
        port: 8081
        targetPort: http
        protocol: TCP
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 2
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: operator
    template:
      metadata:
        labels:
          app.kubernetes.io/component: operator
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        serviceAccountName: fedbiot-operator
        securityContext:
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        topologySpreadConstraints:
          - labelSelector:
              matchLabels:
                app.kubernetes.io/component: operator
                app.kubernetes.io/instance: fedbiot
                app.kubernetes.io/name: fedbiot
            maxSkew: 1
            topologyKey: kubernetes.io/hostname
            whenUnsatisfiable: ScheduleAnyway
        containers:
          - name: operator
            image: fedbiot/operator:VERSION
            imagePullPolicy: IfNotPresent
            env:
              - name: FEDBIOT_WORKER_IMAGE
                value: fedbiot/worker:VERSION
              - name: FEDBIOT_SECRET_KEY_FILE
                value: /etc/fedbiot/secret-key/key
              - name: FEDBIOT_LOG_LEVEL
                value: info
              - name: FEDBIOT_WORKERS
                value: "4"
              - name: FEDBIOT_NAMESPACES
                value: team-a,team-b
              - name: REDIS_PASSWORD
                valueFrom:
                  secretKeyRef:
                    name: fedbiot-redis
                    key: password
              - name: FEDBIOT_REDIS_URL
                value: redis://:$(REDIS_PASSWORD)@fedbiot-redis.fedbiot-system.svc:6379
            ports:
              - name: http
                containerPort: 8081
                protocol: TCP
            livenessProbe:
              httpGet:
                path: /healthz
                port: http
            readinessProbe:
              httpGet:
                path: /readyz
                port: http
              periodSeconds: 1
            resources:
              limits:
                memory: 1Gi
              requests:
                cpu: 50m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: secret-key
                mountPath: /etc/fedbiot/secret-key
                readOnly: true
        volumes:
          - name: secret-key
            secret:
              secretName: fedbiot-secret-key
              items:
                - key: key
                  path: key
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    name: fedbiot-redis
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: redis
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    replicas: 1
    serviceName: fedbiot-redis
    selector:
      matchLabels:
        app.kubernetes.io/name: fedbiot
        app.kubernetes.io/instance: fedbiot
        app.kubernetes.io/component: redis
    template:
      metadata:
        labels:
          app.kubernetes.io/component: redis
          app.kubernetes.io/instance: fedbiot
          app.kubernetes.io/name: fedbiot
      spec:
        automountServiceAccountToken: false
        securityContext:
          fsGroup: 65532
          runAsGroup: 65532
          runAsNonRoot: true
          runAsUser: 65532
          seccompProfile:
            type: RuntimeDefault
        containers:
          - name: redis
            image: docker.io/library/redis:7.4-bookworm
            imagePullPolicy: IfNotPresent
            command:
              - sh
              - -ec
              - |
                umask 077
                hash=$(printf %s "$REDISCLI_AUTH" | sha256sum)
                { echo "user default on #\${hash%% *} ~* &* +@all"; if [ -f users.acl ]; then grep -v '^user default ' users.acl || true; fi; } > users.new
                mv users.new users.acl
                exec redis-server --aclfile /data/users.acl "$@"
              - redis-server
            args:
              - --appendonly
              - yes
              - --save
              - ""
              - --maxmemory
              - 1gb
              - --maxmemory-policy
              - noeviction
              - --dir
              - /data
            env:
              - name: REDISCLI_AUTH
                valueFrom:
                  secretKeyRef:
                    name: fedbiot-redis
                    key: password
            workingDir: /data
            ports:
              - name: redis
                containerPort: 6379
                protocol: TCP
            livenessProbe:
              tcpSocket:
                port: redis
              failureThreshold: 6
            readinessProbe:
              exec:
                command:
                  - redis-cli
                  - -e
                  - ping
              periodSeconds: 5
              timeoutSeconds: 5
            resources:
              limits:
                memory: 2Gi
              requests:
                cpu: 100m
                memory: 256Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                  - ALL
              readOnlyRootFilesystem: true
            volumeMounts:
              - name: data
                mountPath: /data
    persistentVolumeClaimRetentionPolicy:
      whenDeleted: Retain
      whenScaled: Retain
    volumeClaimTemplates:
      - apiVersion: v1
        kind: PersistentVolumeClaim
        metadata:
          name: data
          labels:
            app.kubernetes.io/name: fedbiot
            app.kubernetes.io/instance: fedbiot
            app.kubernetes.io/component: redis
        spec:
          accessModes:
            - ReadWriteOnce
          resources:
            requests:
              storage: 8Gi
- apiVersion: coordination.k8s.io/v1
  kind: Lease
  metadata:
    name: fedbiot-operator
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
- apiVersion: monitoring.coreos.com/v1
  kind: PodMonitor
  metadata:
    name: fedbiot-workers
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: metrics
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    namespaceSelector:
      matchNames:
        - team-a
        - team-b
    selector:
      matchExpressions:
        - key: fedbiot.io/job
          operator: Exists
    podMetricsEndpoints:
      - port: metrics
        path: /metrics
        honorLabels: true
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicy
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    failurePolicy: Fail
    matchConstraints:
      resourceRules:
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - configmaps
            - secrets
            - services
            - persistentvolumeclaims
        - apiGroups:
            - networking.k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
          resources:
            - networkpolicies
        - apiGroups:
            - batch
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - jobs
        - apiGroups:
            - kueue.x-k8s.io
          apiVersions:
            - "*"
          operations:
            - CREATE
            - UPDATE
            - DELETE
          resources:
            - workloads
        - apiGroups:
            - ""
          apiVersions:
            - "*"
          operations:
            - DELETE
          resources:
            - pods
    matchConditions:
      - name: asked-by-the-operator
        expression: request.userInfo.username == 'system:serviceaccount:fedbiot-system:fedbiot-operator'
    variables:
      - name: subject
        expression: "request.operation == 'DELETE' ? oldObject : object"
      - name: job
        expression: "has(variables.subject.metadata.labels) && 'fedbiot.io/job' in variables.subject.metadata.labels ? variables.subject.metadata.labels['fedbiot.io/job'] : ''"
      - name: makesPods
        expression: request.resource.resource == 'jobs' && (request.operation == 'CREATE' || (request.operation == 'UPDATE' && object.spec.template != oldObject.spec.template))
      - name: pod
        expression: object.spec.template.spec
      - name: containers
        expression: "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])"
    validations:
      - message: the operator may write and delete objects only with its own labels
        expression: variables.job != '' && 'app.kubernetes.io/managed-by' in variables.subject.metadata.labels && variables.subject.metadata.labels['app.kubernetes.io/managed-by'] == 'fedbiot-operator'
      - message: the operator may write only objects whose controller is a FedBiOTJob
        expression: request.operation == 'DELETE' || [object, oldObject].filter(each, each != null).all(each, has(each.metadata.ownerReferences) && each.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind == 'FedBiOTJob' && owner.apiVersion.startsWith('fedbiot.io/') && owner.name == variables.job))
      - message: the operator may write only objects with the names that it gives
        expression: "request.operation == 'DELETE' || object.metadata.name in { 'configmaps': [variables.job + '-job'], 'secrets': [variables.job + '-credentials'], 'services': [variables.job + '-server', 'fbj-' + variables.job + '-server'], 'persistentvolumeclaims': [variables.job + '-output'], 'networkpolicies': [variables.job + '-server', variables.job + '-clients'], 'jobs': [variables.job + '-server', variables.job + '-clients'], 'workloads': ['fedbiotjob-' + variables.job] }[request.resource.resource]"
      - message: the operator's Secrets must be of type Opaque
        expression: request.resource.resource != 'secrets' || object.type == 'Opaque'
      - message: the operator's Services must be reachable only within the cluster
        expression: request.resource.resource != 'services' || (object.spec.type == 'ClusterIP' && !has(object.spec.externalIPs))
      - message: the operator's pods must use the account default, without its token
        expression: "!variables.makesPods || ( (!has(variables.pod.serviceAccountName) || variables.pod.serviceAccountName in ['', 'default']) && (!has(variables.pod.serviceAccount) || variables.pod.serviceAccount in ['', 'default']) && has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)"
      - message: the operator's pods may mount only what the restricted standard allows; admissionPolicy.hostPaths of the chart lets them mount folders of the node
        expression: "!variables.makesPods || !has(variables.pod.volumes) || variables.pod.volumes.all(volume, has(volume.configMap) || has(volume.csi) || has(volume.downwardAPI) || has(volume.emptyDir) || has(volume.ephemeral) || has(volume.image) || has(volume.persistentVolumeClaim) || has(volume.secret))"
      - message: the operator's pods may not use the node's namespaces, nor run as root
        expression: "!variables.makesPods || ( (!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork) && (!has(variables.pod.hostPID) || !variables.pod.hostPID) && (!has(variables.pod.hostIPC) || !variables.pod.hostIPC) && has(variables.pod.securityContext) && has(variables.pod.securityContext.runAsNonRoot) && variables.pod.securityContext.runAsNonRoot && [variables.pod.securityContext].all(context, has(context.runAsUser) && context.runAsUser > 0 && has(context.runAsGroup) && context.runAsGroup > 0 && (!has(context.fsGroup) || context.fsGroup > 0) && (!has(context.supplementalGroups) || context.supplementalGroups.all(group, group > 0)) && (!has(context.sysctls) || size(context.sysctls) == 0) && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && has(context.seccompProfile) && context.seccompProfile.type == 'RuntimeDefault'))"
      - message: the operator's containers may not have privileges
        expression: "!variables.makesPods || variables.containers.all(container, has(container.securityContext) && (!has(container.ports) || container.ports.all(port, !has(port.hostPort) || port.hostPort == 0)) && [container.securityContext].all(context, has(context.allowPrivilegeEscalation) && !context.allowPrivilegeEscalation && (!has(context.privileged) || !context.privileged) && has(context.runAsNonRoot) && context.runAsNonRoot && !has(context.runAsUser) && !has(context.runAsGroup) && has(context.capabilities) && has(context.capabilities.drop) && 'ALL' in context.capabilities.drop && !has(context.capabilities.add) && (!has(context.procMount) || context.procMount == 'Default') && !has(context.seLinuxOptions) && !has(context.appArmorProfile) && (!has(context.seccompProfile) || context.seccompProfile.type == 'RuntimeDefault')))"
      - message: the operator's pods may not have an annotation that turns off AppArmor
        expression: "!variables.makesPods || !has(object.spec.template.metadata.annotations) || object.spec.template.metadata.annotations.all(key, !key.startsWith('container.apparmor.security.beta.kubernetes.io/'))"
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingAdmissionPolicyBinding
  metadata:
    name: fedbiot-operator.fedbiot-system
    labels:
      app.kubernetes.io/component: operator
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
  spec:
    policyName: fedbiot-operator.fedbiot-system
    validationActions:
      - Deny
- apiVersion: v1
  kind: ServiceAccount
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: fedbiot-test
    namespace: team-a
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  rules:
    - apiGroups:
        - fedbiot.io
      resources:
        - fedbiotjobs
      verbs:
        - create
        - get
        - delete
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: fedbiot-test
    namespace: team-a
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-weight: "-1"
  roleRef:
    apiGroup: rbac.authorization.k8s.io
    kind: Role
    name: fedbiot-test
  subjects:
    - kind: ServiceAccount
      name: fedbiot-test
      namespace: fedbiot-system
- apiVersion: v1
  kind: Pod
  metadata:
    name: fedbiot-test
    namespace: fedbiot-system
    labels:
      app.kubernetes.io/component: test
      app.kubernetes.io/instance: fedbiot
      app.kubernetes.io/managed-by: Helm
      app.kubernetes.io/name: fedbiot
      app.kubernetes.io/part-of: fedbiot
      app.kubernetes.io/version: VERSION
      helm.sh/chart: fedbiot-VERSION
    annotations:
      helm.sh/hook: test
      helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
      helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  spec:
    restartPolicy: Never
    serviceAccountName: fedbiot-test
    securityContext:
      runAsGroup: 65532
      runAsNonRoot: true
      runAsUser: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: test
        image: fedbiot/operator:VERSION
        imagePullPolicy: IfNotPresent
        command:
          - node
          - operator/smoke-test.ts
        args:
          - team-a
          - fedbiot-test
          - "600"
        resources:
          limits:
            memory: 1Gi
          requests:
            cpu: 50m
            memory: 256Mi
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
              - ALL
          readOnlyRootFilesystem: true

`
